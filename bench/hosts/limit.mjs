// Time limits around whatever may hang.

/** Rejects when `promise` takes longer than `ms`; the work itself is the caller's to stop. */
export function withLimit(promise, { ms, what }) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms / 1000} s`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
