import type { HostView } from '../kernel/host-view.ts';
import { keyOf, type Subject } from '../kernel/registry.ts';
import type { PlanContext } from './context.ts';
import type { GuestDevice } from './guest-device.ts';
import { providedPfs } from './hostdevs.ts';
import { planReachable } from './plan.ts';
import { provisionLinks } from './provisioned-links.ts';
import { vfOf } from './vfs.ts';

/**
 * Whether something that is applied is there for one of a guest's present devices; if not, it has been left behind by one
 * that is gone. What a device's bridge stands on counts as its own, and so does what it was given under an earlier
 * configuration: `applied` is all that is applied for the guest.
 */
export function wantedBy(
  context: PlanContext,
  applied: readonly { readonly subject: Subject }[],
): (subject: Subject) => boolean {
  const { devices, config, host } = context;
  const needed = devices.flatMap(({ bridge, macvtap }) =>
    [bridge, macvtap?.physdev].filter(name => name !== undefined),
  );
  const parts = new Set(provisionLinks(needed, config).map(({ subject }) => keyOf(subject)));
  const entries = new Set(planReachable(context).map(({ subject }) => keyOf(subject)));
  const ports = new Set(devices.flatMap(({ dev }) => dev ?? []));
  const vlans = new Set(
    applied.flatMap(({ subject }) => (subject.kind === 'vlan' && ports.has(subject.dev) ? subject.id : [])),
  );
  const links = new Set([...needed, ...providedPfs(context), ...ports]);
  const addresses = new Set<string>(devices.flatMap(({ hostdev }) => hostdev?.address ?? []));
  const vfs = new Set(devices.flatMap(device => vfNameOf(device, host)));
  const isOwnEntry = (dev: string, mac: string) => devices.some(each => each.dev === dev && each.mac === mac);
  const twins = (mac: string) => devices.filter(each => each.mac === mac);
  /** On a card for a port of a bridge, on an uplink for a VF; not once a twin has made it wrong. */
  const isOfOther = ({ dev, mac, table }: Extract<Subject, { kind: 'fdb' }>) =>
    table === 'self'
      ? twins(mac).some(({ bridge }) => bridge !== undefined) && twins(mac).every(each => vfOf(each, host)?.pf !== dev)
      : !ports.has(dev) &&
        twins(mac).some(each => vfOf(each, host)) &&
        twins(mac).every(({ bridge }) => bridge === undefined) &&
        isUplink(dev);
  const isUplink = (dev: string) => host.link(dev)?.isTap === false;
  return subject => {
    if (parts.has(keyOf(subject))) return true;
    if ('vf' in subject) return vfs.has(`${subject.dev} ${subject.vf}`);
    switch (subject.kind) {
      case 'driver':
        return addresses.has(subject.dev);
      case 'fdb':
        // An entry on a port stays with its port: without it a port that does not learn is cut off.
        return entries.has(keyOf(subject)) || isOwnEntry(subject.dev, subject.mac) || isOfOther(subject);
      case 'vlan':
        return ports.has(subject.dev) || vlans.has(subject.id);
      default:
        return links.has(subject.dev);
    }
  };
}

/**
 * Whether something applied on the port of a device that came or changed is of a connection that the port no longer has:
 * `planned` is all that the present ones ask for. What libvirt sets there by itself it has set for the present one.
 */
export function outdatedBy(
  came: readonly GuestDevice[],
  planned: readonly { readonly subject: Subject }[],
): (subject: Subject) => boolean {
  const keys = new Set(planned.map(({ subject }) => keyOf(subject)));
  return subject => {
    // A tap that libvirt does not make has its settings from when it was made.
    const device = came.find(({ type, dev }) => type === 'bridge' && dev === subject.dev);
    if (device === undefined || keys.has(keyOf(subject))) return false;
    switch (subject.kind) {
      case 'isolated':
      case 'vlan':
        return !device.portByLibvirt.includes(subject.kind);
      case 'learning':
      case 'flood':
      case 'fdb':
        return !device.tableOfLibvirt;
      default:
        return false;
    }
  };
}

function vfNameOf(device: GuestDevice, host: HostView): string[] {
  const use = vfOf(device, host);
  return use === undefined ? [] : [`${use.pf} ${use.vf}`];
}
