import type { Config } from '../config/types.ts';
import type { HostView } from '../kernel/host-view.ts';
import type { DeviceKind } from '../kernel/settable.ts';
import type { VirtualPort } from '../model/virtual-port.ts';
import type { Actual } from '../resolve/actual.ts';
import type { GuestDevice } from './guest-device.ts';

import { vfOf } from './vfs.ts';

type Plugged = Pick<GuestDevice, 'bridge' | 'macvtap' | 'hostdev'>;

/** What libvirt makes of an interface that is no ethernet tap. */
export function kindOfActual(actual: Actual | null, device: Plugged, host: HostView): DeviceKind {
  switch (actual?.type) {
    case undefined:
      return 'unknown';
    case 'bridge':
    case 'network':
      return kindOfPort(device.bridge, actual.virtualport, host);
    case 'direct':
    case 'hostdev':
      return kindOfVf(device, host);
    default:
      return 'backend';
  }
}

/** libvirt plugs a tap into its bridge without a virtualport, lets Open vSwitch or Midonet do it, or nobody. */
function kindOfPort(bridge: string | undefined, virtualport: VirtualPort | undefined, host: HostView): DeviceKind {
  if (bridge === undefined) return 'unknown';
  if (virtualport !== undefined)
    return virtualport.type === 'openvswitch' || virtualport.type === 'midonet' ? 'foreign port' : 'loose tap';
  return host.link(bridge)?.isBridge === false ? 'foreign port' : 'bridge port';
}

/** A macvtap or host device; one that is not chosen yet is told apart later. */
export function kindOfVf(device: Plugged, host: HostView): DeviceKind {
  const { macvtap, hostdev } = device;
  if (macvtap === undefined && hostdev === undefined) return 'unknown';
  const isVf = vfOf(device, host) !== undefined;
  return macvtap === undefined ? (isVf ? 'VF' : 'PCI device') : isVf ? 'macvtap on a VF' : 'macvtap';
}

/**
 * Where a tap is, or will be, that libvirt plugs in nowhere: where it is already; else in the bridge that is asked for, into
 * which it is plugged by us. One of its own that is there is used as it is; what a script, or whoever makes it, does with it
 * is seen later.
 */
export function placeOfTap(
  tap: { readonly dev: string | undefined; readonly isOwn: boolean; hasScript?: boolean; deferred?: boolean },
  { bridge }: { readonly bridge: string | undefined },
  { config, host }: { readonly config: Config; readonly host: HostView },
): { readonly bridge: string | undefined; readonly kind: DeviceKind } {
  const { dev, isOwn, hasScript = false, deferred = false } = tap;
  const link = dev === undefined ? undefined : host.link(dev);
  const master = link?.master ?? undefined;
  if (master !== undefined)
    return { bridge: master, kind: host.link(master)?.isBridge ? 'bridge port' : 'foreign port' };
  if (isOwn && link === undefined && !config.taps.create) return { bridge, kind: 'unknown' };
  if (isOwn && link !== undefined && !deferred) return { bridge: undefined, kind: 'loose tap' };
  if (bridge !== undefined)
    return { bridge, kind: host.link(bridge)?.isBridge === false ? 'foreign port' : 'bridge port' };
  return { bridge, kind: hasScript && link === undefined ? 'unknown' : 'loose tap' };
}
