import fs from 'node:fs';
import path from 'node:path';
import type { PciDevice } from '../../kernel/host-view.ts';
import { readKernelFile, readLinkIfAny } from '../files.ts';

/** The nodes through which a device can be held, as `/proc/PID/fd` shows them. */
export function vfioNodes({ group, vfioDevice }: Pick<PciDevice, 'group' | 'vfioDevice'>): string[] {
  return [
    ...(group === null ? [] : [`/dev/vfio/${group.number}`]),
    ...(vfioDevice === null ? [] : [`/dev/vfio/devices/${vfioDevice}`]),
  ];
}

/** Whether a node is one of those that guests hold: VFIO's, or a macvtap's. */
function isGuestNode(file: string): boolean {
  return file.startsWith('/dev/vfio/') || /^\/dev\/tap\d+$/.test(file);
}

/**
 * The processes that have a device open through VFIO, or a macvtap, by its node: `guest 'web1' (process 4711)`, or the program's
 * name.
 * One pass over all of them, which on a large host takes a good part of a second.
 */
export function listHolders(proc: string): ReadonlyMap<string, readonly string[]> {
  const holders = new Map<string, string[]>();
  if (!fs.existsSync(proc)) return holders;
  for (const pid of fs.readdirSync(proc).filter(name => /^\d+$/.test(name))) {
    for (const file of new Set(openFiles(proc, pid).filter(isGuestNode)))
      holders.set(file, [...(holders.get(file) ?? []), describeProcess(proc, pid)]);
  }
  return holders;
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
