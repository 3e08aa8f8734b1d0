// The SDK's worker, which dies when it is asked to classify the text "die" or "trap".
import './die_on_demand.js';
import '/sdk/worker.js';
