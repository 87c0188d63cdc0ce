import fs from 'node:fs';
import { printable } from '../../report/error.ts';
import type { Log } from '../../report/log.ts';
import { appendLine } from '../files.ts';

const maxLogBytes = 4 * 1024 * 1024;

/** Appends to `file`, keeping one older piece as `FILE.1`. A log that cannot be written never fails a hook. */
export function fileLog(file: string, clock: () => number): Log {
  const write = (level: string, line: string) => {
    try {
      const size = fs.lstatSync(file, { throwIfNoEntry: false })?.size ?? 0;
      if (size > maxLogBytes) fs.renameSync(file, `${file}.1`);
      appendLine(file, `${new Date(clock()).toISOString()} ${level} ${printable(line)}`);
    } catch {
      // There is nobody left to tell.
    }
  };
  return { info: line => write('info', line), warn: line => write('warn', line) };
}
