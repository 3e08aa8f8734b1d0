// The SDK's worker on a device with little memory.
import './little_memory.js';
import '/sdk/worker.js';
