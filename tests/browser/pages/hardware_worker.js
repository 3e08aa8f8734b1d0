// The SDK's worker, to which the software adapter looks like hardware.
import './pretend_hardware.js';
import '/sdk/worker.js';
