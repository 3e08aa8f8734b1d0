// The address that this page was made for, as its own address says; nothing where none is named or it cannot be used.
import { cleanAddress } from '../shared/address.js';

export function addressOfPage(): string | undefined {
  return cleanAddress(new URLSearchParams(location.search).get('office'));
}
