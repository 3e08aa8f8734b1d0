// A service worker as a site may have one: keeps the page and the SDK, so that they come without a network; models are the SDK's to keep.
const CACHE = 'site';

self.addEventListener('install', (event) => {
  event.waitUntil(self.skipWaiting());
});
self.addEventListener('activate', (event) => {
  event.waitUntil(self.clients.claim());
});
self.addEventListener('fetch', (event) => {
  if (new URL(event.request.url).pathname.startsWith('/models/')) return;
  event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await self.caches.open(CACHE);
  try {
    const response = await fetch(request);
    await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request);
    if (!kept) throw error;
    return kept;
  }
}
