/** Where the reflex is: on the CPU, whose numbers tasks are certified with, and for `embed` alone on a GPU too where one was asked for. */
import type { ByteSource, Embedder, Encoder } from './engine_module.js';
import { isTrap } from './job_queue.js';
import { gpuOrCpu, type Placed, placedOnGpu, type Placing } from './model_place.js';
import type { Backend } from './protocol.js';
import { fetchAndRead, type Read } from './reading.js';

/** A reflex that is loaded. */
export interface PlacedReflex {
  readonly encoder: Encoder;
  /** What `embed` takes: the encoder itself, or a second one. */
  readonly embedder: Placed<Embedder>;
}

/** Loads the reflex where the request wants it. */
export function placeReflex(placing: Placing): Promise<Read<PlacedReflex>> {
  const { engine, request, file, options, tell } = placing;
  const parts = request.engine.backend === 'webgpu' ? 2 : 1;
  return fetchAndRead(file, options, async (source) => {
    const encoder = engine.module.Encoder.load(source, (loaded, total) => { tell(loaded, parts * total); });
    if (parts === 1) return { encoder, embedder: onCpu(encoder) };
    try {
      return { encoder, embedder: await onGpu({ ...placing, tell: (loaded, total) => { tell(total + loaded, parts * total); } }, source) };
    } catch (error) {
      // An engine that trapped must not be entered again.
      if (!isTrap(error)) encoder.free();
      throw error;
    }
  });
}

/** Has `embed` compute elsewhere after its GPU was lost: on the wanted backend, or else on the CPU. */
export async function placeReflexAgain(placing: Placing, { encoder, embedder }: PlacedReflex, wanted: Backend): Promise<PlacedReflex> {
  const toGpu = async () => (await fetchAndRead(placing.file, placing.options, (source) => onGpu(placing, source))).value;
  const toCpu = () => onCpu(encoder);
  const again = wanted === 'wasm' ? toCpu() : await gpuOrCpu(toGpu, toCpu, placing.options.signal);
  embedder.model.free();
  return { encoder, embedder: again };
}

/** Frees the reflex wherever it is. */
export function freeReflex({ encoder, embedder }: PlacedReflex): void {
  if (embedder.model !== encoder) embedder.model.free();
  encoder.free();
}

function onCpu(encoder: Encoder): Placed<Embedder> {
  return { model: encoder, backend: 'wasm' };
}

async function onGpu({ engine, tell }: Placing, source: ByteSource): Promise<Placed<Embedder>> {
  // Whoever asks for a GPU by name takes software too.
  return placedOnGpu(await engine.module.GpuEncoder.load(source, true, tell));
}
