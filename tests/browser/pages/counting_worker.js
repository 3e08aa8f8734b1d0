// The SDK's worker, whose work for the GPU is counted.
import './count_dispatches.js';
import '/sdk/worker.js';
