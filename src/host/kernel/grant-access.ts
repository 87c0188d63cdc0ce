import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readKernelFile } from '../files.ts';
import { devicesCgroup, findQemu, numberOf } from '../libvirt/qemu-access.ts';
import type { HostPaths } from '../paths.ts';

/** From the hook to QEMU's first look at its devices: libvirt is about to fork it. */
const grantLimitMs = 10_000;
/** For Node to start. */
const watchLimitMs = 3000;

/**
 * Leaves a process behind that lets a guest's QEMU open nodes, where a version 1 devices cgroup stands in between. libvirt
 * makes that cgroup between the `start` hook and QEMU's exec, so nobody can have done it before and `started` is too late.
 * It ends with the guest: there is nothing to undo. The process has its own session and streams, and libvirt waits for
 * neither; we wait only until it is on the watch.
 */
export async function leaveGrantBehind(
  paths: HostPaths,
  program: string,
  guest: string,
  nodes: readonly string[],
): Promise<void> {
  if (ownCgroup(paths) === undefined) return;
  const words = [program, 'grant-access', guest, ...nodes];
  const child = spawn(process.execPath, words, { detached: true, stdio: ['ignore', 'pipe', 'ignore'], cwd: '/' });
  const watching = Promise.race([once(child.stdout, 'data'), once(child, 'error'), once(child, 'exit')]);
  await Promise.race([watching.catch(() => {}), sleep(watchLimitMs, undefined, { ref: false })]);
  child.stdout.destroy();
  child.unref();
}

/** What is left behind: waits for the guest's cgroup, and adds the nodes once libvirt has closed it. Answers whether it could. */
export async function grantAccess(paths: HostPaths, guest: string, nodes: readonly string[]): Promise<boolean> {
  const own = ownCgroup(paths);
  const numbers = nodes.flatMap(node => numberOf(path.join(paths.root, node)) ?? []);
  const lines = numbers.map(({ major, minor }) => `c ${major}:${minor} rw`);
  fs.writeSync(1, 'watching\n');
  const end = performance.now() + grantLimitMs;
  for (; performance.now() < end; await sleep(1)) {
    const directory = cgroupOf(paths, guest);
    if (directory === undefined || directory === own) continue;
    const list = readKernelFile(directory, 'devices.list').split('\n');
    // Before libvirt has denied everything, what is added is lost.
    if (list.some(line => line.startsWith('a ') || line === '') && !list.some(line => line.startsWith('c '))) continue;
    if (lines.every(line => list.some(each => each.startsWith(line)))) return true;
    for (const line of lines) fs.writeFileSync(path.join(directory, 'devices.allow'), line);
  }
  return false;
}

function cgroupOf(paths: HostPaths, guest: string): string | undefined {
  const pid = findQemu(paths, guest);
  return pid === undefined ? undefined : devicesCgroup(paths, readKernelFile(paths.proc, pid, 'cgroup'));
}

/** The hook runs in the daemon's cgroup. */
function ownCgroup(paths: HostPaths): string | undefined {
  const own = devicesCgroup(paths, readKernelFile(paths.proc, 'self/cgroup'));
  return own !== undefined && fs.existsSync(path.join(own, 'devices.list')) ? own : undefined;
}
