import { needsOf } from '../apply/apply.ts';
import { inForceFor } from '../apply/devices.ts';
import { contextOf, type GuestAtHand, guestAtHand } from '../apply/guest.ts';
import { type Domain, readDomain } from '../model/domain.ts';
import { describeChange } from '../plan/change.ts';
import { type HostView, isOnVfio, isSame, observe } from '../plan/host-view.ts';
import { wantedBy } from '../plan/leftovers.ts';
import { isPassive, planReachable } from '../plan/plan.ts';
import { vfOf } from '../plan/vfs.ts';
import { findLostPorts } from '../resolve/claim.ts';
import { aliasPrefix } from '../transform/aliases.ts';
import { compareDevices } from '../transform/devices.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { parseXml } from '../xml/document.ts';
import type { HotplugHost } from './host.ts';
import { isHalted, readLive, recordOf } from './settle.ts';

/**
 * Everything that must agree for a running guest: the live document, libvirt's status, its two lists, ports, the host's
 * links and cards, our record and what is in force. Answers a line for each thing that does not.
 */
export async function checkGuest(name: string, host: HotplugHost): Promise<string[]> {
  const { domain, view } = await readLive(name, host);
  const planning = await host.planning();
  const halted = isHalted(name, host);
  const guest = { ...guestAtHand(domain, planning, { halted }), view };
  const record = recordOf(domain.uuid, host);
  const shown = readDomain(parseXml(await host.virsh(['dumpxml', '--domain', domain.uuid])));
  const used = new Set(domain.interfaces.map(({ source }) => source.portid));
  const news = record === undefined ? [] : compareDevices(record.chosen, view).news;
  return [
    ...checkHostdevs(view),
    ...checkAliases(view),
    ...compareLists(domain, shown),
    ...findLostPorts(domain, planning.findNetwork),
    ...(record?.ports ?? [])
      .filter(port => !used.has(port.uuid))
      .map(port => `port ${port.uuid} of network '${port.network}' (${port.mac}) belongs to no interface`),
    ...(record === undefined ? ['nothing is recorded of it'] : news.map(line => `not in the record: ${line}`)),
    ...(await checkHost(guest)),
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

async function checkHost(guest: GuestAtHand): Promise<string[]> {
  const { effects, domain, halted, config } = guest;
  const seen = contextOf(guest, await effects.view({}));
  const planned = halted || isPassive(config) ? [] : planReachable(seen);
  const pfs = seen.devices.flatMap(device => vfOf(device, seen.host)?.pf ?? []);
  const needs = needsOf(planned);
  const host = await effects.view({ ...needs, vfs: [...new Set([...(needs.vfs ?? []), ...pfs])] });
  const context = { ...seen, host };
  const entries = inForceFor(guest);
  const isWanted = wantedBy(context, entries);
  return [
    ...seen.devices.flatMap(device => [...checkLink(device, host), ...checkVf(device, host)]),
    ...planned
      .filter(({ subject, to }) => !isSame(observe(subject, host), to))
      .map(change => `not as it should be: ${describeChange(change)} (${change.why})`),
    ...entries
      .filter(({ subject }) => !isWanted(subject))
      .map(entry => `in force for a device that it does not have: ${describeChange(entry)}`),
    ...entries
      .filter(({ reach, subject }) => halted && reach && subject.kind === 'fdb')
      .map(entry => `${domain.owner} is open although its CPUs stand still: ${describeChange(entry)}`),
  ];
}

type Device = ReturnType<typeof contextOf>['devices'][number];

function checkLink({ name, dev, bridge, type }: Device, host: HostView): string[] {
  if (dev === undefined || type === 'other') return [];
  const link = host.link(dev);
  if (link === undefined) return [`${name}: there is no link '${dev}'`];
  return bridge === undefined || link.master === bridge
    ? []
    : [`${name}: '${dev}' is in ${link.master ?? 'no bridge'} instead of '${bridge}'`];
}

function checkVf(device: Device, host: HostView): string[] {
  const { hostdev, name, mac } = device;
  const use = vfOf(device, host);
  const pci = hostdev && host.pci(hostdev.address);
  const isBound = hostdev === undefined || pci === undefined || isOnVfio(pci);
  const vf = use && host.vf(use.pf, use.vf);
  return [
    ...(isBound ? [] : [`${name}: ${hostdev.address} is bound to '${pci.driver ?? 'nothing'}'`]),
    ...(vf === undefined || mac === undefined || vf['vf-mac'] === mac
      ? []
      : [`${name}: its VF has MAC ${vf['vf-mac']}`]),
  ];
}
