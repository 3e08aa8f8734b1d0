/** Has devices opened with their adapter's subgroups: wgpu has no word for them in a browser (gfx-rs/wgpu#10146). Worker only. */

/** From now on, in this worker. */
export function askForSubgroups(): void {
  if (!('GPUAdapter' in self)) return;
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = function (this: GPUAdapter, descriptor: GPUDeviceDescriptor = {}) {
    if (!this.features.has('subgroups')) return requestDevice.call(this, descriptor);
    return requestDevice.call(this, { ...descriptor, requiredFeatures: [...(descriptor.requiredFeatures ?? []), 'subgroups'] });
  };
}
