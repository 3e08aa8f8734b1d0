// The engine's worker: first the guard, then the SDK's own worker file.
import './guard.js';
import './frontdesk/worker.js';
