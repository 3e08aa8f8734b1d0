/** What the browser says of its GPU, asked without opening a device. */
import type { AdapterInfo } from './protocol.js';

/** A GPU, or why there is none to compute on. */
export interface FoundAdapter {
  readonly hasWebgpu: boolean;
  readonly adapter?: AdapterInfo;
  /** All that tells this adapter from others. */
  readonly signature: string;
  /** Why `auto` leaves it alone, for people. */
  readonly refusal?: string;
}

/** Names of adapters that are software, whatever they claim; `src/gpu/device.rs` has the same. */
const SOFTWARE = ['swiftshader', 'llvmpipe', 'lavapipe', 'basic render'];

/** Optional features that the kernels use where they are offered. */
const FEATURES = ['subgroups', 'shader-f16'];

/** Asks for the adapter that the engine would ask for. */
export async function findAdapter(): Promise<FoundAdapter> {
  if (!('gpu' in navigator)) return { hasWebgpu: false, signature: '', refusal: 'this browser has no WebGPU' };
  // A browser that has the interface may still refuse to be asked.
  const found = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  if (!found) return { hasWebgpu: true, signature: '', refusal: 'there is no GPU adapter' };
  // Older browsers lack some of these, or all.
  const { vendor = '', architecture = '', device = '', description = '', isFallbackAdapter = false }: Partial<GPUAdapterInfo> = found.info ?? {};
  const signature = [vendor, architecture, device, description].filter((part) => part !== '').join(' ');
  // Some browsers keep the description to themselves.
  const name = description === '' ? signature : description;
  const isSoftware = isFallbackAdapter || SOFTWARE.some((software) => signature.toLowerCase().includes(software));
  const adapter = { name, driver: '', isSoftware, features: FEATURES.filter((feature) => found.features.has(feature)) };
  return { hasWebgpu: true, adapter, signature, ...(isSoftware && { refusal: `the adapter ${name} computes on the CPU` }) };
}
