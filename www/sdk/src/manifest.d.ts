/** The models of models/manifest.json as the build puts them into the bundle. */
declare module 'frontdesk:models' {
  interface ManifestModel {
    readonly id: string;
    readonly bytes: number;
    readonly sha256: string;
    readonly file: string;
    readonly use: 'default' | 'reflex' | 'tests';
    /** The first source that is a plain address. */
    readonly url?: string;
  }
  const models: readonly ManifestModel[];
  export default models;
}
