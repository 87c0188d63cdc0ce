import type { Running } from '../guest/recover.ts';
import { runningGuests } from '../host/libvirt/run-states.ts';
import type { HostPaths } from '../host/paths.ts';
import type { Memory } from '../host/state/memory.ts';

/** What runs on this host, from libvirt's own run-time files. */
export function whatRuns(paths: HostPaths, memory: Memory, graceMs: number): Running {
  const isRunning = runningGuests(paths);
  return {
    guests: memory.listRecords(),
    readRecord: memory.readRecord,
    removeRecord: memory.removeRecord,
    unreadable: memory.listUnreadable(),
    isRunning,
    isNetworkActive: name => memory.findNetwork(name)?.active ?? false,
    graceMs,
  };
}
