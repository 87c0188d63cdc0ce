import { bridgeOf, ownerAbove } from '../kernel/fdb.ts';
import { ActualnetError } from '../report/error.ts';
import type { PlanContext } from './context.ts';
import { pfsBelow } from './uplinks.ts';
import { vfOf } from './vfs.ts';

/**
 * Guests with the MAC of the bridge that they are, or would be, connected to, of one of its ports, or of a device above it:
 * the host would be cut off, or the guest. Ports are known by the forwarding table; `needsTable` says if it is wanted.
 */
export function findTakenMacs(context: PlanContext): ActualnetError[] {
  const { devices, host } = context;
  return devices.flatMap(device => {
    const { mac, name } = device;
    const bridges = mac === undefined ? [] : bridgesOf(device, context);
    const found = bridges.flatMap(bridge => {
      const local = host.fdb.find(
        each =>
          each.mac === mac && each.local === true && each.table === 'bridge' && bridgeOf(each.dev, host) === bridge,
      );
      const owner = ownerAbove(bridge, mac!, host) ?? local?.dev;
      return owner === undefined ? [] : { bridge, owner };
    });
    const [first] = found;
    if (first === undefined) return [];
    const where = first.owner === first.bridge ? 'its own bridge' : `which bridge '${first.bridge}' needs`;
    return new ActualnetError('MAC_TAKEN', `${name} has the MAC address of '${first.owner}', ${where}`, {
      hint: 'give the guest another one',
    });
  });
}

/** Whether entries will be made for any of the devices, so that it matters what the tables hold. */
export function needsTable(context: PlanContext): boolean {
  const { devices, config } = context;
  return devices.some(
    device =>
      device.settings.keepForwardingTable ||
      bridgesOf(device, context).some(bridge => config.bridges[bridge]?.pfForwardingTable),
  );
}

/** The bridge of a port; those above the PF of a VF, where they are told of its guest. */
function bridgesOf(device: PlanContext['devices'][number], { config, host }: PlanContext): string[] {
  if (device.kind === 'bridge port') return device.bridge === undefined ? [] : [device.bridge];
  const pf = vfOf(device, host)?.pf;
  if (pf === undefined) return [];
  const isAbove = (bridge: string) => pfsBelow(bridge, { config, host }).some(below => below.pf === pf);
  return Object.keys(config.bridges).filter(each => config.bridges[each]?.pfForwardingTable && isAbove(each));
}
