import fs from 'node:fs';
import path from 'node:path';
import type { PciDevice } from '../plan/host-view.ts';
import { readKernelFile, readLinkIfAny } from './files.ts';

/** The nodes through which a device can be held, as `/proc/PID/fd` shows them. */
export function vfioNodes({ group, vfioDevice }: Pick<PciDevice, 'group' | 'vfioDevice'>): string[] {
  return [
    ...(group === null ? [] : [`/dev/vfio/${group.number}`]),
    ...(vfioDevice === null ? [] : [`/dev/vfio/devices/${vfioDevice}`]),
  ];
}

/** The processes that have one of `nodes` open: `guest 'web1' (process 4711)`, or the program's name. */
export function findHolders(proc: string, nodes: readonly string[]): string[] {
  if (nodes.length === 0 || !fs.existsSync(proc)) return [];
  return fs
    .readdirSync(proc)
    .filter(name => /^\d+$/.test(name))
    .filter(pid => openFiles(proc, pid).some(file => nodes.includes(file)))
    .map(pid => describeProcess(proc, pid));
}

/** What a process has open; nothing once it is gone. */
export function openFiles(proc: string, pid: string): string[] {
  const directory = path.join(proc, pid, 'fd');
  try {
    return fs.readdirSync(directory).flatMap(fd => readLinkIfAny(path.join(directory, fd)) ?? []);
  } catch {
    return [];
  }
}

function describeProcess(proc: string, pid: string): string {
  const words = readKernelFile(proc, pid, 'cmdline').split('\0');
  const guest = /^guest=([^,]+)/.exec(words[words.indexOf('-name') + 1] ?? '')?.[1];
  const program = readKernelFile(proc, pid, 'comm').trim() || 'unknown';
  return guest === undefined ? `process ${pid} (${program})` : `guest '${guest}' (process ${pid})`;
}
