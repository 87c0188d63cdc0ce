import path from 'node:path';
import { exists } from '../files.ts';

/** Where distributions put programs for administrators, too. */
const usual = ['/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/local/bin'];

/** Why a program could not be run: it may be there, where PATH does not lead; otherwise what the system said. */
export function whyNotRun(
  tool: string,
  said = 'it could not be started',
  directories: readonly string[] = usual,
): string {
  const found = findBesidePath(tool, directories);
  return found === undefined ? said : `it is ${found}, and PATH lacks that directory`;
}

/** What to do about it; `name` is the package that has it. */
export function hintToRun(tool: string, name: string, directories: readonly string[] = usual): string {
  const found = findBesidePath(tool, directories);
  return found === undefined
    ? `install ${name}`
    : `add ${path.dirname(found)} to PATH, which is '${process.env.PATH ?? ''}'`;
}

function findBesidePath(tool: string, directories: readonly string[]): string | undefined {
  const inPath = (process.env.PATH ?? '').split(path.delimiter);
  if (inPath.some(directory => exists(path.join(directory, tool)))) return undefined;
  return directories.map(directory => path.join(directory, tool)).find(exists);
}
