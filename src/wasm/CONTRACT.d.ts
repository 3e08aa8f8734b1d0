// The generated module's interface (wasm-bindgen --target web); deleted once the module exists.
// All plain objects use the shapes of www/sdk/src/protocol.ts (camelCase).
export default function init(options: { module_or_path: string | URL | Response | WebAssembly.Module }): Promise<{ memory: WebAssembly.Memory }>;
/** Incremental SHA-256. */
export class Sha256 { constructor(); update(bytes: Uint8Array): void; /** lower-case hex; the object is spent */ finish(): string; free(): void; }
/** Random access to the model file, synchronous (worker only); read fills `into` wholly or throws. */
export interface ByteSource { readonly size: number; read(offset: number, into: Uint8Array): void; }
export class Model {
  /** Reads header, tokenizer and weights; repacks tensor by tensor. Synchronous; onProgress(loadedBytes, totalBytes). Throws EngineError. */
  static load(source: ByteSource, contextTokens: number, onProgress: (loaded: number, total: number) => void): Model;
  /** { architecture, parameters, contextTokens, memoryBytes } */
  describe(): { architecture: string; parameters: number; contextTokens: number; memoryBytes: number };
  classify(request: /* ClassifyRequest */ object): Job;
  chat(request: /* ChatRequest */ object): Job;
  free(): void;
}
/** One request in progress; each step does a bounded piece (some prefill tokens, one decoded token) and then lets the caller look for aborts. */
export class Job {
  /** { type:'prefill', done, total } | { type:'delta', ... ChatDelta } | { type:'done', result: LocalClassification | LocalCompletion } | { type:'idle' } (keep stepping). Throws EngineError. */
  step(): Promise<object>;
  free(): void; // safe at any time; an unfinished job leaves the model usable
}
// Errors thrown: JS Error objects with name 'EngineError' and property `code`:
// 'invalid_model' | 'unsupported_model' | 'context_overflow' | 'invalid_input' | 'io' | 'backend'.
// A trap (WebAssembly.RuntimeError) means the instance is unusable: report code 'engine_crashed', drop it, load again.
