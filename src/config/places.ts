import type { ConfigFile } from './config.ts';
import { locate, mergeLocated, mistakeAt } from './located.ts';
import { readYaml } from './read-yaml.ts';

/** Tells, of files without a mistake, where something stands: `FILE:LINE: PATH: what`, for a JSON pointer into all of them. */
export function placesIn(files: readonly ConfigFile[]): (pointer: string, what: string) => string {
  const roots = files.flatMap(file => readYaml(file).root ?? []);
  const [first, ...others] = roots;
  if (first === undefined) return (_, what) => what;
  const whole = others.reduce(mergeLocated, first);
  return (pointer, what) => mistakeAt(locate(whole, pointer), what).text;
}
