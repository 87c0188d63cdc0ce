import { freemem } from 'node:os';
import { execaSync } from 'execa';
import { findDebianSource, isReachable } from './debian.ts';
import { findImage } from './image.ts';

/** The machine's memory; QEMU gets by with less than half of it. */
export const machineMemoryMib = 2560;

/** Why no machine can be built or run here; undefined if it can. */
export async function findMissingPrerequisite(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'it needs Linux on x86-64';
  if (freemem() < machineMemoryMib * 1024 * 1024) return `it needs ${machineMemoryMib} MiB of free memory`;
  return findImage() === undefined ? findBuildBlocker() : undefined;
}

async function findBuildBlocker(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'it needs root to build the machine';
  for (const program of ['apt-get', 'unshare', 'chroot'])
    if (execaSync('sh', ['-c', `command -v ${program}`], { reject: false }).failed) return `there is no '${program}'`;
  try {
    const source = await findDebianSource();
    return (await isReachable(source)) ? undefined : `the Debian mirror '${source.mirror}' cannot be reached`;
  } catch (error) {
    return (error as Error).message.split('\n')[0];
  }
}
