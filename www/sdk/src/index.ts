/** The package's public interface; start at `Frontdesk.create()`. */
export type { Availability, AvailabilityOptions, GpuAvailability } from './availability.js';
export type { ChatCompletionRequest } from './checks.js';
export type * from './decide_shapes.js';
export * from './errors.js';
export {
  type CallOptions,
  type ChatCompletions,
  type ChatCompletionStream,
  type ClassifyOptions,
  type CreateOptions,
  type DecideOptions,
  type EmbedOptions,
  Frontdesk,
  type LoadMonitor,
} from './frontdesk.js';
export type { OnImproved } from './idle_improver.js';
export type { StoredModel } from './files/kept_models.js';
export { type ImportOptions, type KeepOptions, type ModelStore, type StorageUsage, store, type StoreOptions } from './model_store.js';
export { DEFAULT_MODEL, type ModelByUrl, type ModelChoice } from './models.js';
export type {
  AdapterInfo,
  Backend,
  BackendChange,
  Budget,
  ChatMessage,
  ChunkHashes,
  Comparison,
  Decision,
  Embedding,
  Evaluation,
  Improvement,
  Keeping,
  Label,
  LabelProbability,
  LearnProgress,
  LedgerSummary,
  LedgerWorld,
  LocalClassification,
  LocalCompletion,
  LocalEmbeddings,
  LocalTiming,
  Mode,
  ModelInfo,
  ModuleVariant,
  PrefillProgress,
  Prices,
  ReflexInfo,
  TaskGuarantee,
  TaskInfo,
  TokenLogprob,
  TrainedSigns,
  Usage,
} from './protocol.js';
export { openaiCompatible, type OpenaiCompatibleOptions } from './providers/openai_compatible.js';
export type {
  CloudChatRequest,
  CloudClassification,
  CloudClassifyRequest,
  CloudCompletion,
  CloudDelta,
  CloudOptions,
  CloudProvider,
  CloudUsage,
} from './providers/provider.js';
export type * from './results.js';
export { type AnswerOrReceipt, type CalibrateOptions, type Example, type ImproveOptions, type JudgeOptions, type LearnOptions, Task } from './task.js';
