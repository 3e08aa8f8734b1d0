/** Stands in for the generated glue where it has not been built yet. */
declare module '*/frontdesk.js' {
  import type { EngineModule } from './engine_module.js';
  const start: EngineModule['default'];
  export default start;
  export const initSync: EngineModule['initSync'];
  export const isExact: EngineModule['isExact'];
  export const startThreads: EngineModule['startThreads'];
  export const serveThreads: EngineModule['serveThreads'];
  export const failThreads: EngineModule['failThreads'];
  export const Sha256: EngineModule['Sha256'];
  export const Model: EngineModule['Model'];
  export const Encoder: EngineModule['Encoder'];
  export const GpuEncoder: EngineModule['GpuEncoder'];
  export const summariseLedger: EngineModule['summariseLedger'];
  export const Task: EngineModule['Task'];
}
