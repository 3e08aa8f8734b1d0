// The SDK's worker in a browser without a private file system.
import './break_storage.js';
import '/sdk/worker.js';
