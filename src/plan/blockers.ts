import { linksToAsk } from '../kernel/device-uses.ts';
import type { HostView } from '../kernel/host-view.ts';
import { ActualnetError } from '../report/error.ts';
import type { Blocker, BlockerContext } from './blocker.ts';
import type { GuestDevice } from './guest-device.ts';
import { hostdevBlockers } from './hostdevs.ts';
import { linkBlockers } from './links-needed.ts';

/**
 * What is in the way of a guest's devices on the host as it is, each with the device, the reason and a remedy. libvirt, the
 * kernel or QEMU would fail on it, later and in fewer words, or somebody would lose what he uses. `guest` is its name: what it
 * holds already is no blocker.
 */
export function findBlockers(context: BlockerContext, guest: string): Blocker[] {
  return context.devices.flatMap(device =>
    [...hostdevBlockers(device, { ...context, guest }), ...linkBlockers(device, context)].map(blocker => {
      const { code, message, hint } = blocker.error;
      return { ...blocker, error: new ActualnetError(code, `${device.name}: ${message}`, { hint }) };
    }),
  );
}

/** The links whose addresses have to be read before. */
export function linksAtStake(devices: readonly GuestDevice[], host: HostView): string[] {
  const addresses = devices.flatMap(({ hostdev }) =>
    hostdev === undefined ? [] : [hostdev.address, ...(host.pci(hostdev.address)?.vfs ?? [])],
  );
  const passed = devices.flatMap(({ macvtap }) => (macvtap?.passthrough ? macvtap.physdev : []));
  return [...new Set([...linksToAsk(addresses, host), ...passed.filter(dev => host.link(dev)?.up)])];
}
