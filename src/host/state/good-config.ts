import path from 'node:path';
import type { ConfigFile } from '../../config/types.ts';
import { readFileIfAny, writeFileAtomically } from '../files.ts';
import type { HostPaths } from '../paths.ts';

/** The files of a configuration without a mistake, and when they were read, in ISO 8601. */
export interface GoodConfigFiles {
  readonly accepted: string;
  readonly files: readonly ConfigFile[];
}

/**
 * Keeps a good configuration beyond the next boot, for whoever finds a bad one then. As text, so that another version of
 * actualnet can read it. Whoever may not write it goes on without: the configuration counts all the same.
 */
export function keepGoodConfig(paths: HostPaths, { accepted, files }: GoodConfigFiles): void {
  const content: GoodConfigFiles = { accepted, files: files.map(({ file, text }) => ({ file, text })) };
  try {
    writeFileAtomically(fileIn(paths), `${JSON.stringify(content)}\n`);
  } catch {}
}

/** Undefined if there is none, or none that can be read. */
export function readGoodConfig(paths: HostPaths): GoodConfigFiles | undefined {
  try {
    const { accepted, files } = JSON.parse(readFileIfAny(fileIn(paths))?.toString('utf8') ?? '') as GoodConfigFiles;
    const isSound = files.every(({ file, text }) => typeof file === 'string' && typeof text === 'string');
    return isSound && typeof accepted === 'string' ? { accepted, files } : undefined;
  } catch {
    return undefined;
  }
}

function fileIn({ lasting }: HostPaths): string {
  return path.join(lasting, 'good-config.json');
}
