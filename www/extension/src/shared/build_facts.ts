// What the build fixed; `build.mjs` writes it in.
declare const FRONTDESK_BACK_OFFICE: string;

/** The back office's address where the build names one: nobody can choose another, and the manifest allows no other host. */
export const FIXED_ADDRESS: string | undefined = FRONTDESK_BACK_OFFICE === '' ? undefined : FRONTDESK_BACK_OFFICE;
