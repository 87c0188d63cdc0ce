import { keyOf, type Subject } from './change.ts';
import type { GuestDevice } from './guest-devices.ts';
import { type HostView, uplinksOf } from './host-view.ts';
import { providedPfs } from './hostdevs.ts';
import { provideParts } from './parts.ts';
import { type PlanContext, planReachable } from './plan.ts';
import { vfOf } from './vfs.ts';

/**
 * Whether something that is in force is there for one of a guest's present devices; if not, it has been left behind by one
 * that is gone. What a device's bridge stands on counts as its own.
 */
export function wantedBy(context: PlanContext): (subject: Subject) => boolean {
  const { devices, config, host } = context;
  const needed = devices.flatMap(({ bridge, macvtap }) =>
    [bridge, macvtap?.physdev].filter(name => name !== undefined),
  );
  const parts = new Set(provideParts(needed, config).map(({ subject }) => keyOf(subject)));
  const entries = new Set(planReachable(context).map(({ subject }) => keyOf(subject)));
  const vlans = new Set(devices.flatMap(device => uplinkVlansOf(device, context)));
  const links = new Set([...needed, ...providedPfs(context), ...devices.flatMap(({ dev }) => dev ?? [])]);
  const addresses = new Set<string>(devices.flatMap(({ hostdev }) => hostdev?.address ?? []));
  const vfs = new Set(devices.flatMap(device => vfNameOf(device, host)));
  const isOwnEntry = (dev: string, mac: string) => devices.some(each => each.dev === dev && each.mac === mac);
  return subject => {
    if (parts.has(keyOf(subject))) return true;
    if ('vf' in subject) return vfs.has(`${subject.dev} ${subject.vf}`);
    switch (subject.kind) {
      case 'driver':
        return addresses.has(subject.dev);
      case 'fdb':
        // An entry on a port stays with its port: without it a port that does not learn is cut off.
        return entries.has(keyOf(subject)) || isOwnEntry(subject.dev, subject.mac);
      case 'vlan':
        return vlans.has(keyOf(subject)) || devices.some(({ dev }) => dev === subject.dev);
      default:
        return links.has(subject.dev);
    }
  };
}

function vfNameOf(device: GuestDevice, host: HostView): string[] {
  const use = vfOf(device, host);
  return use === undefined ? [] : [`${use.pf} ${use.vf}`];
}

function uplinkVlansOf({ bridge, settings }: GuestDevice, { config, host }: PlanContext): string[] {
  if (bridge === undefined || !config.bridges[bridge]?.uplinkVlans) return [];
  const uplinks = uplinksOf(bridge, host).map(({ dev }) => dev);
  return uplinks.flatMap(dev => (settings.vlan ?? []).map(id => keyOf({ kind: 'vlan', dev, id })));
}
