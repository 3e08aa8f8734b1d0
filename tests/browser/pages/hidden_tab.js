// What a page gets in a tab that nobody looks at: no animation frames, timers once a second, and the word that it is hidden.
const { setTimeout: later, setInterval: every } = window;

Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });
Object.defineProperty(document, 'hidden', { get: () => true });
window.requestAnimationFrame = () => 0;
window.requestIdleCallback = () => 0;
window.setTimeout = (work, ms = 0, ...rest) => later(work, Math.max(ms, 1000), ...rest);
window.setInterval = (work, ms = 0, ...rest) => every(work, Math.max(ms, 1000), ...rest);
