import type { Survivors } from '../apply/recover.ts';
import { readRunningGuests } from '../host/libvirt-files.ts';
import type { Memory } from '../host/memory.ts';
import type { HostPaths } from '../host/paths.ts';

/** What runs on this host, from libvirt's own run-time files. */
export function survivors(paths: HostPaths, memory: Memory, graceMs: number): Survivors {
  const running = new Set(readRunningGuests(paths).map(({ uuid }) => uuid));
  return {
    guests: memory.listRecords(),
    readRecord: memory.readRecord,
    removeRecord: memory.removeRecord,
    isRunning: guest => running.has(guest),
    isNetworkActive: name => memory.findNetwork(name)?.active ?? false,
    graceMs,
  };
}
