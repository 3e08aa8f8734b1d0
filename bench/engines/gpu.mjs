// In the page: what WebGPU there is, and what has been sent to it (hosts/gpu_watch.mjs counts).

/** Time enough for every worker that is idle to answer. */
const ANSWERS_MS = 500;

/** The adapter that a page without wishes gets, or undefined. */
export async function adapter() {
  const found = await navigator.gpu?.requestAdapter();
  if (!found) return undefined;
  const { vendor, architecture, description, subgroupMinSize, subgroupMaxSize } = found.info;
  const features = ['shader-f16', 'subgroups'].filter((name) => found.features.has(name));
  return { vendor, architecture, description, subgroup_sizes: [subgroupMinSize, subgroupMaxSize], features };
}

/** All that this page and its workers have sent to the GPU so far. */
export async function work() {
  const sum = { dispatches: 0, submits: 0, devices: 0, errors: [] };
  const channel = new BroadcastChannel('gpu-work');
  channel.onmessage = ({ data }) => {
    if (data === 'tell') return;
    for (const name of ['dispatches', 'submits', 'devices']) sum[name] += data[name];
    sum.errors.push(...data.errors);
  };
  channel.postMessage('tell');
  await new Promise((resolve) => setTimeout(resolve, ANSWERS_MS));
  channel.close();
  return sum;
}
