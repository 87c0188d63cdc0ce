import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeviceHost } from '../agent/follow-devices.ts';
import type { Planning } from '../guest/context.ts';
import { foldRecord } from '../guest/record.ts';
import {
  findGuestDefinition,
  readGuestDefinitions,
  readRunningGuests,
  readRunningPorts,
} from '../host/libvirt/files.ts';
import { hasEnded, readRunningGuest, tryReadRunState } from '../host/libvirt/run-states.ts';
import { runVirsh } from '../host/libvirt/virsh.ts';
import type { HostPaths } from '../host/paths.ts';
import { beginHotplug, tryBeginHotplug } from '../host/state/hotplugs.ts';
import type { Memory } from '../host/state/memory.ts';
import type { HotplugHost } from '../hotplug/host.ts';
import { readDomain } from '../model/domain.ts';
import { type MacAddress, parseUuid } from '../model/values.ts';
import type { Log } from '../report/log.ts';
import { guestByTaps } from './unreadable.ts';

/** This host, for following its guests' devices. */
export function deviceHost(
  paths: HostPaths,
  { memory, log }: { readonly memory: Memory } & Pick<DeviceHost, 'log'>,
): Omit<DeviceHost, 'planning'> {
  return {
    findGuest: name => readRunningGuest(paths, name),
    findByTaps: name => guestByTaps(paths, memory, name),
    hasEnded: name => hasEnded(paths, name),
    isOwn: false,
    log,
    findRecord: guest => foldRecord(guest, memory.readRecord(guest)),
    note({ uuid, name }, view, { findings, unset, isFirst }) {
      if (uuid === undefined) return;
      const told = findings.length > 0 && { findings };
      memory.appendRecord(uuid, {
        at: new Date().toISOString(),
        op: isFirst ? 'reconnect' : 'devices',
        name,
        view,
        ...told,
        unset,
      });
    },
    noteFinding(guest, name, finding) {
      memory.appendRecord(guest, { at: new Date().toISOString(), op: 'devices', name, findings: [finding] });
    },
    hold: async guest => (await tryBeginHotplug(paths, guest))?.end,
  };
}

/** This host, for attaching and detaching. */
export function hotplugHost(
  paths: HostPaths,
  {
    memory,
    planning,
    log,
    say,
  }: { memory: Memory; planning: () => Promise<Planning>; log: Log; say: (line: string) => void },
): HotplugHost {
  let fd: number | undefined;
  return {
    following: { ...deviceHost(paths, { memory, log }), planning },
    planning,
    nameOf(guest) {
      const uuid = parseUuid(guest);
      if (uuid === undefined) return guest;
      const known = [...readRunningGuests(paths), ...readGuestDefinitions(paths)];
      const named = known.find(({ name }) => name === guest) ?? known.find(each => each.uuid === uuid);
      return named?.name ?? guest;
    },
    findGuest: name => readRunningGuest(paths, name),
    findDefinition: name => {
      const found = findGuestDefinition(paths, name);
      return found && readDomain(found.document);
    },
    libvirtPorts: guest =>
      readRunningPorts(paths, content => content.includes(guest)).flatMap(
        ({ network, port: { ownerUuid, uuid, mac } }) => (ownerUuid === guest ? { uuid, mac, network } : []),
      ),
    forgetPort(guest, { network, uuid }) {
      memory.forgetPort(network, uuid);
      memory.appendRecord(guest, { at: new Date().toISOString(), op: 'port-deleted', uuid });
    },
    runState: guest => tryReadRunState(paths, guest),
    virsh: (words, document) => runVirsh(paths, words, { document, inherited: fd }),
    async begin(guest) {
      const hotplug = await beginHotplug(paths, guest);
      fd = hotplug.fd;
      return isSettled => {
        fd = undefined;
        hotplug.end(isSettled);
      };
    },
    newMac() {
      const taken = new Set(readRunningGuests(paths).flatMap(({ interfaces }) => interfaces.map(({ mac }) => mac)));
      for (;;) {
        const octets = [...randomBytes(3)].map(byte => byte.toString(16).padStart(2, '0'));
        const mac = ['52', '54', '00', ...octets].join(':') as MacAddress;
        if (!taken.has(mac)) return mac;
      }
    },
    pause: ms => sleep(ms),
    now: Date.now,
    say,
  };
}
