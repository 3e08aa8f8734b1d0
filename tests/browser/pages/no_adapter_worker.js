// The SDK's worker in a browser that finds no GPU.
import './no_adapter.js';
import '/sdk/worker.js';
