// What is written into the page when the site is built.

/** Who makes the page cross-origin isolated. */
declare const ISOLATION: 'server' | 'service_worker' | 'none';
