import type { Config } from '../config/types.ts';
import { type DeviceUse, hostUses } from '../kernel/device-uses.ts';
import type { HostView } from '../kernel/host-view.ts';
import type { ActualnetError } from '../report/error.ts';
import type { NetworkLookup } from '../resolve/guest.ts';
import type { GuestDevice } from './guest-device.ts';

/** What is in the way of a guest getting a device: it `refuses` the start, or is only told. */
export interface Blocker {
  readonly device: GuestDevice;
  readonly error: ActualnetError;
  readonly refuses: boolean;
}

export interface BlockerContext {
  readonly devices: readonly GuestDevice[];
  readonly config: Config;
  readonly host: HostView;
  readonly findNetwork: NetworkLookup;
}

export function refusal(device: GuestDevice, error: ActualnetError): Blocker {
  return { device, error, refuses: true };
}

/**
 * Whether a device is taken from the host's own network on purpose: the administrator has named it, by its address or name, as
 * one of a libvirt network's. All VFs of a PF are no names. Nobody means to cut off the host's way out.
 */
export function isMeant({ kind }: DeviceUse, device: GuestDevice, { findNetwork }: BlockerContext): boolean {
  if (device.network === undefined || !(hostUses as readonly string[]).includes(kind)) return false;
  const network = lookUp(device.network, findNetwork);
  const isIt = (entry: object) =>
    ('address' in entry && entry.address === device.hostdev?.address) ||
    ('dev' in entry && entry.dev === device.macvtap?.physdev);
  return network !== undefined && network.pf === undefined && network.pool.some(isIt);
}

/** A network that cannot be read says nothing on purpose. */
function lookUp(name: string, findNetwork: NetworkLookup) {
  try {
    return findNetwork(name)?.network;
  } catch {
    return undefined;
  }
}
