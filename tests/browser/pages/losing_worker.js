// The SDK's worker, whose GPU device is lost in the midst of the first chat or of the first texts that are embedded.
import './lose_device.js';
import '/sdk/worker.js';
