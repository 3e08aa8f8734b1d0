// Which addresses a back office may have, and the policy that lets a page reach that one and nothing else.

const MOST_CHARACTERS = 2000;
const LOOPBACK = ['localhost', '127.0.0.1'];

/** In words, why the address cannot be used; nothing where it can. */
export function addressProblem(address: string): string | undefined {
  if (address.length > MOST_CHARACTERS) return `This address is longer than ${MOST_CHARACTERS} characters.`;
  if (!URL.canParse(address)) return 'This is no address. It looks like https://office.example/v1/chat/completions.';
  const url = new URL(address);
  const isLocal = url.protocol === 'http:' && LOOPBACK.includes(url.hostname);
  if (url.protocol !== 'https:' && !isLocal) return 'The address must begin with https://, or with http:// on localhost or 127.0.0.1.';
  if (url.username !== '' || url.password !== '') return 'The address must not carry a name or a password. Keys belong in your back office.';
  if (url.search !== '' || url.hash !== '') return 'The address must not have a part after ? or #. Keys belong in your back office.';
  return undefined;
}

/** As browsers write it; nothing for an address that cannot be used. */
export function cleanAddress(address: unknown): string | undefined {
  return typeof address === 'string' && addressProblem(address) === undefined ? new URL(address).href : undefined;
}

/** What a page may connect to: the extension's own files and, where one is given, this very address. */
export function connectPolicy(address: string | undefined): string {
  // These two would end the source or the directive.
  const source = address?.replaceAll(';', '%3B').replaceAll(',', '%2C');
  return `connect-src 'self'${source === undefined ? '' : ` ${source}`}`;
}
