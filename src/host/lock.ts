import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ActualnetError } from '../report/error.ts';
import { openPrivateFile } from './files.ts';

/** Longer than one guest's call takes, shorter than an administrator waits. */
const lockLimitMs = 8000;

/**
 * Takes kernel locks (open file description locks) on files in `directory`, in the order of their names so that two
 * callers never wait for each other. They end with the process, however it ends. Throws `LOCKED` when one is not to be
 * had in time.
 */
export async function takeLocks(directory: string, names: readonly string[]): Promise<() => void> {
  // CommonJS: as a whole it is the default export, in whatever way this was bundled.
  const { tryLock } = (await import('fs-native-extensions')).default;
  const held: number[] = [];
  const release = () => {
    for (const fd of held.splice(0)) fs.closeSync(fd);
  };
  try {
    for (const name of [...new Set(names)].sort()) {
      const fd = openPrivateFile(path.join(directory, name));
      held.push(fd);
      const endMs = performance.now() + lockLimitMs;
      while (!tryLock(fd)) {
        if (performance.now() > endMs)
          throw new ActualnetError('LOCKED', `somebody else has held '${name}' for ${lockLimitMs / 1000} s`);
        await sleep(10);
      }
    }
    return release;
  } catch (error) {
    release();
    throw error;
  }
}
