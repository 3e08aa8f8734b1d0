// The SDK's worker, to which the software adapter looks like hardware, and whose work for it is counted.
import './pretend_hardware.js';
import './count_dispatches.js';
import '/sdk/worker.js';
