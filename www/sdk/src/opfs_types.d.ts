/** Parts of the origin private file system that TypeScript's page library leaves out. */
interface FileSystemSyncAccessHandle {
  read(into: Uint8Array<ArrayBuffer>, options?: { readonly at?: number }): number;
  write(from: Uint8Array<ArrayBuffer>, options?: { readonly at?: number }): number;
  getSize(): number;
  truncate(bytes: number): void;
  flush(): void;
  close(): void;
}

interface FileSystemFileHandle {
  /** Only in dedicated workers; browsers that do not know `mode` take an exclusive lock. */
  createSyncAccessHandle?(options?: { readonly mode: 'readwrite' | 'read-only' | 'readwrite-unsafe' }): Promise<FileSystemSyncAccessHandle>;
  /** Gives the file another name in its folder. */
  move?(name: string): Promise<void>;
}
