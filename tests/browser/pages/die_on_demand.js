// An uncaught error, which ends the worker as far as the page is concerned.
self.addEventListener('message', ({ data }) => {
  if (data.request?.text === 'die') throw new Error('told to die');
});
