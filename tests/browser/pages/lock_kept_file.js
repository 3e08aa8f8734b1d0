// Takes the exclusive lock of every kept model, as another tab may, and keeps it until it ends.
const folder = navigator.storage.getDirectory().then((root) => root.getDirectoryHandle('frontdesk-models'));

async function lockAll() {
  const locks = [];
  for await (const [name, file] of (await folder).entries()) if (name.endsWith('.gguf')) locks.push(await file.createSyncAccessHandle());
  self.postMessage(locks.length);
  return locks;
}

self.locks = lockAll();
