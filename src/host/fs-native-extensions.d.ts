declare module 'fs-native-extensions' {
  const extensions: {
    /** Takes an exclusive lock on the whole file, or answers false if somebody else has one. */
    tryLock(fd: number, options?: { readonly shared?: boolean }): boolean;
  };
  export default extensions;
}
