// Destroys the GPU device in the midst of the first chat or of the first texts that are embedded. With `last` there is no other adapter
// then, with `each` later devices are destroyed too: at every fourth token or pass of texts. Else they stay.
/* global GPU, GPUAdapter, GPUQueue */
const { requestDevice } = GPUAdapter.prototype;
const { requestAdapter } = GPU.prototype;
const { submit } = GPUQueue.prototype;
const { postMessage } = self;
const wishes = new URL(self.location.href).searchParams;
const isLast = wishes.has('last');
const isEach = wishes.has('each');
let told = 0;
let device;
let left = Infinity;

GPUAdapter.prototype.requestDevice = async function (...options) {
  const opened = await requestDevice.apply(this, options);
  if (isEach || device === undefined) device = opened;
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
  if ((data.verb === 'chat' || data.verb === 'embed') && left === Infinity && !isEach) left = 9;
});
self.postMessage = (message) => {
  const isStep = message.event?.type === 'delta' || (message.verb === 'embed' && message.event !== undefined);
  if (isEach && isStep) {
    told += 1;
    if (told % 4 === 0) device.destroy();
  }
  postMessage.call(self, message);
};
