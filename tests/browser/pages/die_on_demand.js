// Two ways to die: an uncaught error, and a trap of the engine as its own asynchronous code would report it.
self.addEventListener('message', ({ data }) => {
  if (data.request?.text === 'die') throw new Error('told to die');
  if (data.request?.text === 'trap') throw new WebAssembly.RuntimeError('unreachable');
});
