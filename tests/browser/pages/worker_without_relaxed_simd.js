// The SDK's worker in a browser that has SIMD, but not the relaxed kind.
import './hide_relaxed_simd.js';
import '/sdk/worker.js';
