/** What pages/desk.js and pages/adapters.ts put on the page. */
import type * as frontdesk from 'frontdesk';
import type { adapters } from './pages/adapters.ts';

declare global {
  interface Settled<T> {
    readonly value?: T;
    readonly error?: {
      readonly name: string;
      readonly code?: string;
      readonly message: string;
      readonly details?: frontdesk.ErrorDetails;
      readonly receipt?: frontdesk.Receipt;
      readonly isDomException: boolean;
      readonly isFrontdeskError: boolean;
    };
    /** Milliseconds until it settled. */
    readonly ms: number;
  }

  interface Window {
    frontdesk: typeof frontdesk;
    settle<T>(promise: Promise<T>): Promise<Settled<T>>;
    keptFiles(): Promise<string[]>;
    /** The desk with the real model. */
    desk: frontdesk.Frontdesk;
    /** Whom that desk asks; each test starts with a fresh one. */
    cloud: frontdesk.CloudProvider;
    /** A call that was begun, and how far it is. */
    watched: Promise<Settled<frontdesk.Classification>>;
    progress?: number;
    /** What pages/adapters.ts gives, where it was loaded. */
    adapters: typeof adapters;
  }
}
