// Has the browser find no GPU.
/* global GPU */
GPU.prototype.requestAdapter = () => Promise.resolve(null);
