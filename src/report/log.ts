/** Where lines for the administrator go; stderr of a successful hook is thrown away by libvirt. */
export interface Log {
  info(line: string): void;
  warn(line: string): void;
}
