import type { Change } from '../kernel/registry.ts';
import type { PlanContext } from './context.ts';
import type { GuestDevice } from './guest-device.ts';
import { pfsBelow } from './uplinks.ts';
import { vfOf } from './vfs.ts';

/** The port neither learns nor gets floods: with entries of ours, what it learns could only be wrong. */
export function quietPort({ settings, tableOfLibvirt, bridge, dev, mac, name }: GuestDevice): Change[] {
  if (!settings.keepForwardingTable || tableOfLibvirt || bridge === undefined || dev === undefined || mac === undefined)
    return [];
  const why = `the forwarding table of ${name} is kept`;
  return (['learning', 'flood'] as const).map(kind => ({ subject: { kind, dev }, to: false, why }));
}

/**
 * Where frames for a guest's MAC find it. A card with VFs hands a frame that leaves through its PF to a VF with that MAC,
 * so the guest of a bridge above must be in the PF's table to get an answer from there; the bridge in turn looks for VFs
 * of the card behind its uplink. A PF must not claim a MAC that one of the guest's own VFs on it has.
 */
export function forwardingEntries(device: GuestDevice, { devices, config, host }: PlanContext): Change[] {
  const { settings, tableOfLibvirt, bridge, dev, mac, name } = device;
  if (mac === undefined) return [];
  const entry = { to: true, why: `${name} runs`, reach: true } as const;
  if (bridge === undefined) {
    const pf = vfOf(device, host)?.pf;
    const above = (other: string) =>
      pfsBelow(other, { config, host }).flatMap(below => (below.pf === pf ? below.uplink : []));
    const isElsewhere = (other: string) => devices.some(each => each.mac === mac && each.bridge === other);
    return Object.keys(config.bridges)
      .filter(other => pf !== undefined && config.bridges[other]?.pfForwardingTable && !isElsewhere(other))
      .flatMap(above)
      .map(uplink => ({ subject: { kind: 'fdb', dev: uplink, mac, table: 'bridge' }, ...entry }));
  }
  const own: Change[] =
    settings.keepForwardingTable && !tableOfLibvirt && dev !== undefined
      ? [{ subject: { kind: 'fdb', dev, mac, table: 'bridge' }, ...entry }]
      : [];
  const ofVfs = devices.flatMap(each => (each.mac === mac ? (vfOf(each, host)?.pf ?? []) : []));
  const pfs = config.bridges[bridge]?.pfForwardingTable ? pfsBelow(bridge, { config, host }).map(({ pf }) => pf) : [];
  return [
    ...own,
    ...pfs
      .filter(pf => !ofVfs.includes(pf))
      .map(pf => ({ subject: { kind: 'fdb', dev: pf, mac, table: 'self' }, ...entry }) as const),
  ];
}
