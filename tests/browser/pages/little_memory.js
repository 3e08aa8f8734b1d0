// A device that gives an engine 256 MiB and no more. Only memory that is shared between threads is made outside of the module.
const { Memory } = WebAssembly;

WebAssembly.Memory = class extends Memory {
  constructor({ initial, maximum, shared }) {
    super({ initial, maximum: Math.min(maximum, 256 * 16), shared });
  }
};
