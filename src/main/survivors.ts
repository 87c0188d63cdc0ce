import path from 'node:path';
import type { Survivors } from '../apply/recover.ts';
import { listDirectory, readFileIfAny } from '../host/files.ts';
import type { Memory } from '../host/memory.ts';
import type { HostPaths } from '../host/paths.ts';
import { readDomain } from '../model/domain.ts';
import { parseXml } from '../xml/document.ts';

/** What runs on this host, from libvirt's own run-time files. */
export function survivors(paths: HostPaths, memory: Memory, graceMs: number): Survivors {
  const running = new Set(
    listDirectory(paths.libvirtGuestStatus)
      .filter(entry => entry.endsWith('.xml'))
      .map(entry => uuidIn(path.join(paths.libvirtGuestStatus, entry))),
  );
  return {
    guests: memory.listRecords(),
    readRecord: memory.readRecord,
    removeRecord: memory.removeRecord,
    isRunning: guest => running.has(guest),
    isNetworkActive: name => memory.findNetwork(name)?.active ?? false,
    graceMs,
  };
}

function uuidIn(file: string): string | undefined {
  try {
    return readDomain(parseXml(readFileIfAny(file) ?? '')).uuid;
  } catch {
    return undefined;
  }
}
