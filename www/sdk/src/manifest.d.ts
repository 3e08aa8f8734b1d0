/** What the build puts into the bundle: the models of models/manifest.json, and the package's version. */
declare const FRONTDESK_VERSION: string;

declare module 'frontdesk:models' {
  interface ManifestModel {
    readonly id: string;
    readonly bytes: number;
    readonly sha256: string;
    readonly chunks?: { readonly bytes: number; readonly sha256: readonly string[] };
    readonly file: string;
    readonly use: 'default' | 'reflex' | 'tests';
    /** The first source that is a plain address. */
    readonly url?: string;
  }
  const models: readonly ManifestModel[];
  export default models;
}
