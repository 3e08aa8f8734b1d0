// Counts the work that is sent to the GPU, and tells the number to whoever asks on the channel `dispatches`.
/* global BroadcastChannel, GPUComputePassEncoder */
const { dispatchWorkgroups } = GPUComputePassEncoder.prototype;
const channel = new BroadcastChannel('dispatches');
let count = 0;

GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...sizes) {
  count += 1;
  return dispatchWorkgroups.apply(this, sizes);
};
channel.onmessage = () => {
  channel.postMessage(count);
};
