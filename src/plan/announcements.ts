import type { HostView } from '../kernel/host-view.ts';
import type { GuestDevice } from './guest-device.ts';
import { vfOf } from './vfs.ts';

/** A gratuitous ARP frame that says behind which MAC an address is. */
export interface Announcement {
  /** The link it leaves through. */
  readonly dev: string;
  readonly mac: string;
  /** IPv4. */
  readonly address: string;
}

/**
 * What is told to the network in the place of a guest that has come here: QEMU does it for the cards that it emulates, nobody
 * for a VF. It leaves through what carries the guest's own frames: its bridge, the device below its macvtap, or the PF.
 */
export function announcementsOf(devices: readonly GuestDevice[], host: HostView): Announcement[] {
  return devices.flatMap(device => {
    const { mac, settings, bridge, macvtap } = device;
    const dev = bridge ?? macvtap?.physdev ?? vfOf(device, host)?.pf;
    if (mac === undefined || dev === undefined) return [];
    return (settings.announce ?? []).map(address => ({ dev, mac, address }));
  });
}
