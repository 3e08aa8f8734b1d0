// Scripts that a page runs before all others: they count what it and its workers send to the GPU.

/** Runs in pages and workers, from its text alone; asked on the channel, it answers with its counts. */
function countGpuWork() {
  if (!globalThis.GPUQueue) return;
  const counts = { dispatches: 0, submits: 0, devices: 0, errors: [] };
  const watch = (type, method, seen) => {
    const own = type.prototype[method];
    type.prototype[method] = function watched(...given) {
      const result = own.apply(this, given);
      seen(result);
      return result;
    };
  };
  const dispatched = () => (counts.dispatches += 1);
  watch(GPUComputePassEncoder, 'dispatchWorkgroups', dispatched);
  watch(GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', dispatched);
  watch(GPUQueue, 'submit', () => (counts.submits += 1));
  watch(GPUAdapter, 'requestDevice', async (opening) => {
    const device = await opening.catch(() => undefined);
    if (!device) return;
    counts.devices += 1;
    device.addEventListener('uncapturederror', ({ error }) => {
      if (counts.errors.length < 3) counts.errors.push(error.message.split('\n')[0]);
    });
  });
  const channel = new BroadcastChannel('gpu-work');
  channel.onmessage = ({ data }) => data === 'tell' && channel.postMessage(counts);
}

/** Workers import the counter before their own script; static imports, so that no message is lost. */
function countInWorkers(counter) {
  const url = (code) => URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
  const counterUrl = url(counter);
  const Own = globalThis.Worker;
  globalThis.Worker = class extends Own {
    constructor(script, options) {
      const own = new URL(script, location.href).href;
      const isModule = options?.type === 'module';
      super(isModule ? url(`import '${counterUrl}'; import ${JSON.stringify(own)};`) : script, options);
    }
  };
}

/** The page, and workers that it starts itself, see an adapter without subgroups. */
function hideSubgroups() {
  const { prototype } = globalThis.GPUSupportedFeatures ?? {};
  if (!prototype) return;
  const { has, values } = prototype;
  const isHidden = (name) => String(name).startsWith('subgroup');
  prototype.has = function hasNot(name) {
    return !isHidden(name) && has.call(this, name);
  };
  prototype.values = function* others() {
    for (const name of values.call(this)) if (!isHidden(name)) yield name;
  };
  prototype.keys = prototype.values;
  prototype[Symbol.iterator] = prototype.values;
  prototype.forEach = function each(work) {
    for (const name of this) work(name, name, this);
  };
}

/** The script for a page whose GPU work is counted; `subgroups: false` hides that feature from it. */
export function watchGpu({ subgroups = true } = {}) {
  const inWorkers = `(${countGpuWork})();${subgroups ? '' : `(${hideSubgroups})();`}`;
  return `${inWorkers}(${countInWorkers})(${JSON.stringify(inWorkers)});`;
}
