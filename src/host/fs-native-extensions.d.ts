declare module 'fs-native-extensions' {
  /** Takes an exclusive lock on the whole file, or answers false if somebody else has one. */
  export function tryLock(fd: number): boolean;
}
