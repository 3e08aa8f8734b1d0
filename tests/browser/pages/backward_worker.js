// The SDK's worker on a device whose clock goes backwards.
import './backward_clock.js';
import '/sdk/worker.js';
