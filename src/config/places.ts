import { locate, mistakeAt } from './located.ts';
import { readTogether } from './read-yaml.ts';
import type { ConfigFile } from './types.ts';

/** Tells, of files without a mistake, where something stands: `FILE:LINE: PATH: what`, for a JSON pointer into all of them. */
export function placesIn(files: readonly ConfigFile[]): (pointer: string, what: string) => string {
  const whole = readTogether(files);
  return (pointer, what) => (whole === undefined ? what : mistakeAt(locate(whole, pointer), what).text);
}
