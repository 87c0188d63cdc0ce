import { type GuestContext, guestContext, refresh } from '../guest/context.ts';
import { appliedFor } from '../guest/devices.ts';
import { runningFindings } from '../guest/refusals.ts';
import type { LedgerEntry } from '../journal/ledger.ts';
import { type HostView, isOnVfio } from '../kernel/host-view.ts';
import { type Change, describeChange, findDrift, keyOf, needsOf } from '../kernel/registry.ts';
import { describeVfVlan } from '../kernel/vf.ts';
import { type Domain, readDomain } from '../model/domain.ts';
import type { GuestName, Uuid } from '../model/values.ts';
import type { PlanContext } from '../plan/context.ts';
import type { GuestDevice } from '../plan/guest-device.ts';
import { wantedBy } from '../plan/leftovers.ts';
import { isPassive, planAttached, planReachable } from '../plan/plan.ts';
import { vfOf } from '../plan/vfs.ts';
import { findLostPorts } from '../resolve/claim.ts';
import { aliasPrefix } from '../transform/aliases.ts';
import { compareDevices } from '../transform/devices.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { parseXml } from '../xml/document.ts';
import type { HotplugHost, KnownPort } from './host.ts';
import { isClosed, readLive, recordOf } from './settle.ts';

/**
 * Everything that must agree for a running guest: the live document, libvirt's status, its two lists, ports, the host's
 * links and cards, our record and what is applied. Answers a line for each thing that does not.
 */
export async function checkGuest(name: GuestName, host: HotplugHost): Promise<string[]> {
  const { domain, view, policy } = await readLive(name, host);
  const planning = await host.planning();
  const paused = isClosed(name, policy, host);
  const guest = await guestContext(domain, planning, { paused, view });
  const record = recordOf(domain.uuid, host);
  const shown = readDomain(parseXml(await host.virsh(['dumpxml', '--domain', domain.uuid])));
  const news = record === undefined ? [] : compareDevices(record.actual, view).news;
  return [
    ...checkHostdevs(view),
    ...checkAliases(view),
    ...compareLists(domain, shown),
    ...findLostPorts(domain, planning.findNetwork),
    ...checkPorts(domain, host.libvirtPorts(domain.uuid), record?.ports),
    ...(record === undefined ? ['nothing is recorded of it'] : news.map(line => `not in the record: ${line}`)),
    ...(await checkHost(guest)),
  ];
}

/** What libvirt has made of one device, by its name in messages: its place in a bridge, its VF. */
export async function checkDevice(guest: GuestContext, name: string): Promise<string[]> {
  const seen = await look(guest);
  return seen.devices
    .filter(device => device.name === name)
    .flatMap(device => [...(device.type === 'bridge' ? checkLink(device, seen.host) : []), ...checkVf(device, seen)]);
}

/** A port of a network has an interface, and the interface its port. */
function checkPorts(
  { interfaces }: Domain,
  counted: readonly KnownPort[],
  recorded: readonly KnownPort[] | undefined,
): string[] {
  const used = new Set(interfaces.map(({ source }) => source.portid));
  const ports = new Map([...(recorded ?? []), ...counted].map(port => [port.uuid, port]));
  const isUnknown = (portid: Uuid) => recorded?.every(({ uuid }) => uuid !== portid);
  return [
    ...[...ports.values()]
      .filter(({ uuid }) => !used.has(uuid))
      .map(({ uuid, network, mac }) => `port ${uuid} of network '${network}' (${mac}) belongs to no interface`),
    ...interfaces.flatMap(({ mac, index, source: { portid } }) =>
      portid !== undefined && isUnknown(portid)
        ? [`interface ${mac ?? index}: its port ${portid} is not in the record`]
        : [],
    ),
  ];
}

/** By the actual type, unless the administrator gave one. */
function checkAliases({ interfaces }: GuestView): string[] {
  return interfaces.flatMap(({ alias, mac, index, actual }) => {
    const prefix = aliasPrefix(actual?.type);
    return alias.startsWith('ua-') || new RegExp(`^${prefix}\\d+$`).test(alias)
      ? []
      : `interface ${mac ?? index} has alias '${alias}', and its kind is '${prefix}'`;
  });
}

/** The same devices in the same order, in what libvirt shows and in what it keeps. */
function compareLists(kept: Domain, shown: Domain): string[] {
  const list = ({ interfaces, hostdevs }: Domain) =>
    [
      ...interfaces.map(({ alias, mac }) => `${alias} ${mac}`),
      ...hostdevs.map(({ alias, address }) => `${alias} ${address}`),
    ].join(', ');
  return list(kept) === list(shown)
    ? []
    : [`the live document has ${list(shown) || 'no devices'}, libvirt's status file ${list(kept) || 'none'}`];
}

/** A guest's devices on the host as it is, what is asked for them now, and what was made for them. */
interface Seen extends PlanContext {
  readonly asked: readonly Change[];
  readonly entries: readonly LedgerEntry[];
}

async function look(guest: GuestContext): Promise<Seen> {
  const { effects, paused, config } = guest;
  const seen = await refresh(guest);
  const attached = isPassive(config) ? [] : planAttached(seen);
  const opening = paused || isPassive(config) ? [] : planReachable(seen);
  const asked = [...attached, ...opening].filter(({ optional }) => !optional);
  const entries = appliedFor(guest);
  const needs = needsOf([...asked, ...entries]);
  const pfs = seen.devices.flatMap(device => vfOf(device, seen.host)?.pf ?? []);
  const host = await effects.view({ ...needs, vfs: [...new Set([...(needs.vfs ?? []), ...pfs])] });
  return { ...seen, host, asked, entries };
}

async function checkHost(guest: GuestContext): Promise<string[]> {
  const { domain, paused } = guest;
  const seen = await look(guest);
  const { devices, host, asked, entries } = seen;
  const isWanted = wantedBy(seen, entries);
  const drift = findDrift(asked, host);
  const told = new Set(drift.map(({ subject }) => keyOf(subject)));
  // While the CPUs are paused libvirt takes macvtaps down, and what it changes on purpose is not lost.
  const isLibvirts = ({ subject, byLibvirt, to }: LedgerEntry) =>
    subject.kind === 'up' ? paused || byLibvirt : byLibvirt && to === null;
  const kept = entries.filter(entry => isWanted(entry.subject) && !isLibvirts(entry) && !told.has(entry.key));
  const lost = findDrift(
    kept.map(entry => ({ ...entry, shared: entry.users.length > 0 })),
    host,
  );
  return [
    ...devices.flatMap(device => [...checkLink(device, host), ...checkVf(device, seen)]),
    ...(await runningFindings(guest)),
    ...drift.map(change => `not as it should be: ${describeChange(change)} (${change.why})`),
    ...lost.map(entry => `applied, and not so any more: ${describeChange(entry)}`),
    ...entries
      .filter(({ subject }) => !isWanted(subject))
      .map(entry => `applied for a device that it does not have: ${describeChange(entry)}`),
    ...entries
      .filter(({ reach, subject }) => paused && reach && subject.kind === 'fdb')
      .map(entry => `${domain.owner} is open although its CPUs are paused: ${describeChange(entry)}`),
  ];
}

function checkLink({ name, dev, bridge, type }: GuestDevice, host: HostView): string[] {
  if (dev === undefined || type === 'other') return [];
  const link = host.link(dev);
  if (link === undefined) return [`${name}: there is no link '${dev}'`];
  // Open vSwitch plugs its ports in by its own means.
  const isForeign = bridge !== undefined && host.link(bridge)?.isBridge === false;
  return bridge === undefined || isForeign || link.master === bridge
    ? []
    : [`${name}: '${dev}' is in ${link.master ?? 'no bridge'} instead of '${bridge}'`];
}

function checkVf(device: GuestDevice, { host, asked, entries }: Seen): string[] {
  const { hostdev, name, mac, vlan = 0 } = device;
  const use = vfOf(device, host);
  const pci = hostdev && host.pci(hostdev.address);
  const isBound = hostdev === undefined || pci === undefined || isOnVfio(pci);
  const driver = isBound ? [] : [`${name}: ${hostdev.address} is bound to '${pci.driver ?? 'nothing'}'`];
  const vf = use && host.vf(use.pf, use.vf);
  // Nobody sets the others through their PF, or only the guest does.
  if (use === undefined || vf === undefined || !use.byLibvirt) return driver;
  const key = keyOf({ kind: 'vf-vlan', dev: use.pf, vf: use.vf });
  const isOurs = [...asked, ...entries].some(({ subject, to }) => keyOf(subject) === key && to !== null);
  const has = vf.vlan;
  const isOther = hostdev !== undefined && !isOurs && has !== null && has.id !== vlan;
  return [
    ...driver,
    ...(mac === undefined || vf.mac === mac ? [] : [`${name}: its VF has MAC ${vf.mac}`]),
    ...(isOther ? [`${name}: its VF has VLAN ${describeVfVlan(has)} instead of ${vlan === 0 ? 'none' : vlan}`] : []),
  ];
}
