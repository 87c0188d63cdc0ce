import type { Survivors } from '../apply/recover.ts';
import { listDirectory } from '../host/files.ts';
import type { Memory } from '../host/memory.ts';
import type { HostPaths } from '../host/paths.ts';

/** What runs on this host, from libvirt's own run-time files. */
export function survivors(paths: HostPaths, memory: Memory, graceMs: number): Survivors {
  const running = new Set(listDirectory(paths.libvirtGuestStatus));
  return {
    guests: memory.listRecords(),
    readRecord: memory.readRecord,
    removeRecord: memory.removeRecord,
    isRunning: name => running.has(`${name}.xml`),
    isNetworkActive: name => memory.findNetwork(name)?.active ?? false,
    graceMs,
  };
}
