declare module 'fs-native-extensions' {
  /** Open file description locks of Linux, on a range of bytes or, without one, on the whole file. */
  const extensions: {
    /** Takes an exclusive lock, or answers false if somebody else has one. */
    tryLock(fd: number, options?: { readonly shared?: boolean }): boolean;
    tryLock(fd: number, offset: number, length: number): boolean;
    /** Waits for an exclusive lock in a thread of libuv's. */
    waitForLock(fd: number, offset: number, length: number): Promise<void>;
    unlock(fd: number, offset: number, length: number): void;
  };
  export default extensions;
}
