import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPrivateFile, readKernelFile } from './files.ts';
import type { HostPaths } from './paths.ts';

/** The service, or what a hook leaves behind where there is none. */
export type WitnessRole = 'agent' | 'stand-in';

interface Holder {
  readonly pid: number;
  readonly role: WitnessRole;
}

/** A stand-in ends what it is doing; a probe of others takes no time. */
const handOverMs = 15_000;
const probedMs = 1000;

/**
 * Makes this process the one witness of the host, until it ends or lets go: two would act on the same events in different
 * order. The agent ends a stand-in; undefined if there is a witness that stays.
 */
export async function becomeWitness(paths: HostPaths, role: WitnessRole): Promise<(() => void) | undefined> {
  const fd = openPrivateFile(lockFile(paths));
  const until = performance.now() + (role === 'agent' ? handOverMs : probedMs);
  const { tryLock } = (await import('fs-native-extensions')).default;
  while (!tryLock(fd)) {
    const holder = readHolder(paths);
    if (holder?.role === 'stand-in' && role === 'agent') endStandIn(holder.pid);
    if (performance.now() >= until) {
      fs.closeSync(fd);
      return undefined;
    }
    await sleep(50);
  }
  fs.ftruncateSync(fd, 0);
  fs.writeSync(fd, JSON.stringify({ pid: process.pid, role } satisfies Holder), 0);
  return () => fs.closeSync(fd);
}

/** Whether there is a witness now. */
export async function hasWitness(paths: HostPaths): Promise<boolean> {
  const { tryLock } = (await import('fs-native-extensions')).default;
  const fd = openPrivateFile(lockFile(paths));
  try {
    // Shared: two who ask at once must not take each other for one.
    return !tryLock(fd, { shared: true });
  } finally {
    fs.closeSync(fd);
  }
}

function lockFile({ state }: HostPaths): string {
  return path.join(state, 'locks', '.witness');
}

function readHolder(paths: HostPaths): Holder | undefined {
  try {
    const { pid, role } = JSON.parse(fs.readFileSync(lockFile(paths), 'utf8')) as Holder;
    return Number.isInteger(pid) && pid > 1 ? { pid, role } : undefined;
  } catch {
    return undefined;
  }
}

/** Only a process that still is one: its number may be another's by now. */
function endStandIn(pid: number): void {
  const command = readKernelFile('/proc', `${pid}`, 'cmdline').split('\0');
  if (!command.includes('witness')) return;
  try {
    process.kill(pid, 'SIGTERM');
  } catch {}
}
