// Makes Chromium's software adapter say that it is hardware, and tells the site of each device that is opened.
/* global GPUAdapter */
const info = { vendor: 'acme', architecture: 'one', device: '', description: 'Acme One', isFallbackAdapter: false, subgroupMinSize: 4, subgroupMaxSize: 128 };
const { requestDevice } = GPUAdapter.prototype;

Object.defineProperty(GPUAdapter.prototype, 'info', { get: () => info });
GPUAdapter.prototype.requestDevice = async function (...options) {
  await fetch('/opened_a_device');
  return requestDevice.apply(this, options);
};
