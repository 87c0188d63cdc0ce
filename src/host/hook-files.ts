import path from 'node:path';
import { listDirectory, readListedFile } from './files.ts';
import type { HostPaths } from './paths.ts';

/** A launcher of ours says so in its text; more than its head need not be read. */
const ownMark = /^program='?[^\n]*hook\.cjs'?$/m;
const headBytes = 64 * 1024;

/** The files in libvirt's hooks directory that are launchers of ours: main scripts first, then drop-ins. */
export function listOwnHooks(paths: HostPaths): string[] {
  return ['qemu', 'network'].flatMap(driver => {
    const directory = path.join(paths.hooks, `${driver}.d`);
    const files = [path.join(paths.hooks, driver), ...listIfAny(directory).map(name => path.join(directory, name))];
    return files.filter(file => ownMark.test(tryRead(file)));
  });
}

function listIfAny(directory: string): string[] {
  try {
    return listDirectory(directory);
  } catch {
    return [];
  }
}

function tryRead(file: string): string {
  try {
    return readListedFile(file)?.subarray(0, headBytes).toString() ?? '';
  } catch {
    return '';
  }
}
