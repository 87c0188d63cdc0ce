import path from 'node:path';
import { create } from 'xmlbuilder2';
import { foldRecord } from '../guest/record.ts';
import { listDirectory, readKernelFile } from '../host/files.ts';
import { readLink } from '../host/kernel/links.ts';
import { findQemu } from '../host/libvirt/qemu-access.ts';
import { statusUuid } from '../host/libvirt/run-states.ts';
import type { HostPaths } from '../host/paths.ts';
import type { Memory } from '../host/state/memory.ts';
import { type Domain, readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { isLinkName } from '../model/values.ts';
import { parseXml } from '../xml/document.ts';

/**
 * A running guest whose status file cannot be read, by what is known without it: the taps that its QEMU has open, and those of
 * its record, in the bridges where they are. What its interfaces were asked for beyond that is not known, so each gets what its
 * bridge, its tap's name and, where the record has it, its MAC ask for. Undefined if nothing is known of it.
 */
export function guestByTaps(paths: HostPaths, memory: Memory, name: string): Domain | undefined {
  const uuid = statusUuid(paths, name) ?? recordedUuid(memory, name);
  if (uuid === undefined) return undefined;
  const record = foldRecord(uuid, memory.readRecord(uuid));
  const recorded = (record?.actual ?? record?.predicted)?.interfaces ?? [];
  const taps = new Set([...recorded.flatMap(({ dev }) => dev ?? []), ...openTaps(paths, name)]);
  const interfaces = [...taps].filter(isLinkName).flatMap(dev => {
    const { master, isBridge } = readLink(paths.sys, dev) ?? {};
    if (typeof master !== 'string' || isBridge || !isLinkName(master)) return [];
    const mac = recorded.find(iface => iface.dev === dev)?.mac;
    const address = mac == null ? {} : { mac: { '@address': mac } };
    return { '@type': 'bridge', ...address, source: { '@bridge': master }, target: { '@dev': dev } };
  });
  const domain = { '@id': '1', name: 'x', uuid, devices: { interface: interfaces } };
  const document = parseXml(create({ domstatus: { domain } }).end({ headless: true }));
  return { ...readDomain(document), name, owner: `guest '${name}'` };
}

function recordedUuid(memory: Memory, name: string): Uuid | undefined {
  const named = memory.listRecords().filter(uuid => foldRecord(uuid, memory.readRecord(uuid))?.name === name);
  return named.length === 1 ? named[0] : undefined;
}

/** The kernel tells of each open `/dev/net/tun` whose interface it is. */
function openTaps(paths: HostPaths, guest: string): string[] {
  const pid = findQemu(paths, guest);
  if (pid === undefined) return [];
  const directory = path.join(paths.proc, pid, 'fdinfo');
  return tryList(directory).flatMap(fd => /^iff:[ \t]*(\S+)$/m.exec(readKernelFile(directory, fd))?.[1] ?? []);
}

function tryList(directory: string): string[] {
  try {
    return listDirectory(directory);
  } catch {
    return [];
  }
}
