// The one place where the page's Content-Security-Policy is written, for headers, for the page itself and for its service worker.

/**
 * Nothing but what the site itself serves; `connect` names further origins that may be asked. `framing` leaves out what
 * browsers ignore in a `<meta>`.
 */
export function contentSecurityPolicy({ connect = [], framing = true } = {}) {
  const directives = [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    ['connect-src', "'self'", ...connect].join(' '),
    "style-src 'self'",
    "img-src 'self' data:",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    ...(framing ? ["frame-ancestors 'none'"] : []),
  ];
  return directives.join('; ');
}

/** What makes a page cross-origin isolated, so that there are threads. */
export const ISOLATION_HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
