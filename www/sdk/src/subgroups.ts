/** Has devices opened with their adapter's subgroups: wgpu has no word for them in a browser (gfx-rs/wgpu#10146). Worker only. */

type RequestDevice = (this: GPUAdapter, descriptor?: GPUDeviceDescriptor) => Promise<GPUDevice>;

/** From now on, in this worker. */
export function askForSubgroups(): void {
  if (!('GPUAdapter' in self)) return;
  const prototype: { requestDevice: RequestDevice } = GPUAdapter.prototype;
  const { requestDevice } = prototype;
  prototype.requestDevice = function (descriptor = {}) {
    if (!this.features.has('subgroups')) return requestDevice.call(this, descriptor);
    return requestDevice.call(this, { ...descriptor, requiredFeatures: [...(descriptor.requiredFeatures ?? []), 'subgroups'] });
  };
}
