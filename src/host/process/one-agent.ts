import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exists, openPrivateFile, readFileIfAny, readKernelFile } from '../files.ts';
import type { HostPaths } from '../paths.ts';

/** The service, or what a hook leaves behind where there is none. */
export type AgentRole = 'agent' | 'on-demand agent';

interface Holder {
  readonly pid: number;
  readonly role: AgentRole;
}

/** A on-demand agent ends what it is doing, or is ended if it stands still; a probe of others takes no time. */
const handOverMs = 15_000;
const forcedMs = 10_000;
const probedMs = 1000;

/**
 * Makes this process the one agent of the host, until it ends or lets go: two would act on the same events in different
 * order. The agent ends an on-demand agent; undefined if there is an agent that stays, or if `signal` says so meanwhile.
 */
export async function becomeAgent(
  paths: HostPaths,
  role: AgentRole,
  signal?: AbortSignal,
): Promise<(() => void) | undefined> {
  const fd = openPrivateFile(lockFile(paths));
  const began = performance.now();
  const until = began + (role === 'agent' ? handOverMs : probedMs);
  const { tryLock } = (await import('fs-native-extensions')).default;
  while (!tryLock(fd)) {
    const holder = readHolder(paths);
    const isLate = performance.now() - began > forcedMs;
    if (holder?.role === 'on-demand agent' && role === 'agent') endStandIn(holder.pid, isLate ? 'SIGKILL' : 'SIGTERM');
    if (performance.now() >= until || signal?.aborted) {
      fs.closeSync(fd);
      return undefined;
    }
    await sleep(50);
  }
  fs.ftruncateSync(fd, 0);
  fs.writeSync(fd, JSON.stringify({ pid: process.pid, role } satisfies Holder), 0);
  return () => fs.closeSync(fd);
}

/** Whether there is an agent now. */
export async function hasAgent(paths: HostPaths): Promise<boolean> {
  // Whoever only looks makes nothing.
  if (!exists(lockFile(paths))) return false;
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
    const { pid, role } = JSON.parse(`${readFileIfAny(lockFile(paths))}`) as Holder;
    return Number.isInteger(pid) && pid > 1 ? { pid, role } : undefined;
  } catch {
    return undefined;
  }
}

/** Only a process that still is one: its number may be another's by now. */
function endStandIn(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  const command = readKernelFile('/proc', `${pid}`, 'cmdline').split('\0');
  if (!command.includes('witness')) return;
  try {
    process.kill(pid, signal);
  } catch {}
}
