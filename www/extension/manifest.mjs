// The extension's manifest: least permissions, a strict policy, and an identifier that stays the same.

/** A public key alone, so that the identifier does not depend on the folder; nobody has its private half, and nothing is signed with it. */
const KEY =
  'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzJrLn26A8Zez+YCAXctSOuWRbEgszMFBEy2/a7rFx3M1UVy76NZRh1NGWRi5NSzVv5rkzqQmOcJqa1mNAE29DpWFtMQgS12sNBA6kk+ZgLk2fveypOsiARSCA0OAU/wpnUUeEHMB6QKPcntVdW/uOefvgKHWx4pjn/alQDlF0UBjjBjl8xJ5S48wR0R+kiWsww61/DElXjMTWqLogpL+UimCq3O9SM2te/yflgBYf3t5ENvXsJK1MkHQTglsp6fQideUFywHCBtCwO5bmu7xS9wbOg2cgnEcYm5XMsIV7YeigAnz/GScwJEa85dxAW7WYZApDon9LTlvrnYmH8wGbQIDAQAB';

/** Where a build names no back office, its user may choose one: any https host, or a server on the same machine. */
const ANY_OFFICE = 'https: http://127.0.0.1:* http://localhost:*';

/** `address`: of the one back office of this build; `withKey: false` for a store, which gives identifiers of its own. */
export function makeManifest({ version, address, withKey }) {
  return {
    manifest_version: 3,
    name: 'Frontdesk',
    version,
    description: 'Classify, route and summarise selected text with a small language model on your device.',
    minimum_chrome_version: '120',
    ...(withKey && { key: KEY }),
    icons: icons([16, 32, 48, 128]),
    action: { default_title: 'Open Frontdesk', default_icon: icons([16, 32]) },
    background: { service_worker: 'background.js', type: 'module' },
    side_panel: { default_path: 'panel.html' },
    options_ui: { page: 'options.html', open_in_tab: true },
    permissions: ['contextMenus', 'offscreen', 'sidePanel', 'storage'],
    incognito: 'not_allowed',
    // Isolated pages may share memory among threads.
    cross_origin_embedder_policy: { value: 'require-corp' },
    cross_origin_opener_policy: { value: 'same-origin' },
    content_security_policy: { extension_pages: policy(address) },
  };
}

function policy(address) {
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${address === undefined ? ANY_OFFICE : new URL(address).origin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
  ].join('; ');
}

function icons(sizes) {
  return Object.fromEntries(sizes.map((size) => [size, `icons/icon-${size}.png`]));
}
