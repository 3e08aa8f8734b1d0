// Takes the exclusive lock of every kept file, as another tab may, and keeps it until it ends.
const folder = navigator.storage.getDirectory().then((root) => root.getDirectoryHandle('frontdesk-models'));

async function lockAll() {
  const locks = [];
  for await (const file of (await folder).values()) locks.push(await file.createSyncAccessHandle());
  self.postMessage(locks.length);
  return locks;
}

self.locks = lockAll();
