// The SDK's worker, whose GPU device is lost in the midst of the first chat.
import './lose_device.js';
import '/sdk/worker.js';
