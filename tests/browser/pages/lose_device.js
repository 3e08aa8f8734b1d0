// Destroys the GPU device in the midst of the first chat; later devices stay, unless there shall be no other adapter.
/* global GPU, GPUAdapter, GPUQueue */
const { requestDevice } = GPUAdapter.prototype;
const { requestAdapter } = GPU.prototype;
const { submit } = GPUQueue.prototype;
const isLast = new URL(self.location.href).searchParams.has('last');
let device;
let left = Infinity;

GPUAdapter.prototype.requestDevice = async function (...options) {
  const opened = await requestDevice.apply(this, options);
  device ??= opened;
  return opened;
};
GPU.prototype.requestAdapter = function (...options) {
  return isLast && device !== undefined ? Promise.resolve(null) : requestAdapter.apply(this, options);
};
GPUQueue.prototype.submit = function (...buffers) {
  left -= 1;
  if (left === 0) device.destroy();
  return submit.apply(this, buffers);
};
self.addEventListener('message', ({ data }) => {
  if (data.verb === 'chat' && left === Infinity) left = 9;
});
