import type { Bandwidth } from '../model/bandwidth.ts';
import type { HostDevice } from '../model/host-device.ts';
import type { DirectMode, Interface, InterfaceType, MacTableManager } from '../model/interface.ts';
import { type ForwardMode, type Network, routedModes } from '../model/network.ts';
import { dropUndefined } from '../model/values.ts';
import type { VirtualPort } from '../model/virtual-port.ts';
import type { Vlan } from '../model/vlan.ts';

/** What the connection is made of. `address` or `dev` is absent only while nobody can tell (an unexpanded `<pf>` pool). */
export type ActualDevice =
  | { readonly type: 'network' | 'bridge'; readonly bridge?: string; readonly macTableManager?: MacTableManager }
  | { readonly type: 'direct'; readonly dev?: string; readonly mode: DirectMode }
  | ({ readonly type: 'hostdev' } & Omit<HostDevice, 'type'>)
  | { readonly type: Exclude<InterfaceType, 'network' | 'bridge' | 'direct' | 'hostdev'> };

export interface ActualSettings {
  readonly vlan?: Vlan;
  readonly virtualport?: VirtualPort;
  readonly bandwidth?: Bandwidth;
  readonly classId?: number;
  readonly trustGuestRxFilters?: boolean;
  readonly isolated?: boolean;
}

/** What an interface really is on this host. */
export type Actual = ActualDevice & ActualSettings;

/** The actual type an interface gets from `network`; needs neither an active network nor a free device. */
export function actualTypeOf(network: Network): 'network' | 'bridge' | 'direct' | 'hostdev' {
  if (routedModes.includes(network.mode)) return 'network';
  if (network.mode === 'hostdev') return 'hostdev';
  return network.mode === 'bridge' && network.bridge !== undefined ? 'bridge' : 'direct';
}

/** What libvirt binds a PCI host device to when nothing is said; written into the document at start. */
export const defaultDriver = 'vfio';

/** The macvtap mode is the forward mode's own word. */
export function directModeOf(mode: ForwardMode): DirectMode {
  return mode as DirectMode;
}

/**
 * The actual of an interface that needs no network: because its configured type is the actual one, or because libvirt
 * has allocated it already and says so (a live or status document). Undefined when a network has to be asked.
 */
export function recordedActual(iface: Interface): Actual | undefined {
  const connection = iface.actual ?? iface;
  const { type, source, hostDevice } = connection;
  const settings = dropUndefined({
    vlan: connection.vlan,
    virtualport: connection.virtualport,
    bandwidth: connection.bandwidth,
    trustGuestRxFilters: connection.trustGuestRxFilters,
    isolated: connection.isolated,
  });
  switch (type) {
    case 'network':
    case 'bridge': {
      if (type === 'network' && source.bridge === undefined) return undefined;
      // Only a network can hand the bridge's table to libvirt; written on a plain bridge interface it means nothing.
      const viaNetwork = iface.actual !== undefined || source.network !== undefined;
      const macTableManager = viaNetwork ? source.macTableManager : undefined;
      return dropUndefined({ type, bridge: source.bridge, macTableManager, ...settings });
    }
    case 'direct':
      return dropUndefined({ type, dev: source.dev, mode: source.mode ?? 'vepa', ...settings });
    case 'hostdev':
      return dropUndefined({
        type,
        address: hostDevice?.address,
        managed: hostDevice?.managed ?? false,
        driver: hostDevice?.type === 'pci' ? (hostDevice.driver ?? defaultDriver) : undefined,
        driverModel: hostDevice?.driverModel,
        iommufd: hostDevice?.iommufd,
        ...settings,
      });
    default:
      return { type, ...settings };
  }
}

/** `bridge br0`, `macvtap on eth1 (vepa)`, `PCI device 0000:03:00.1`. */
export function describeActual(actual: Actual): string {
  switch (actual.type) {
    case 'network':
    case 'bridge':
      return `${actual.type} ${actual.bridge ?? '(bridge not named yet)'}`;
    case 'direct':
      return `macvtap on ${actual.dev ?? '(not picked yet)'} (${actual.mode})`;
    case 'hostdev':
      return `PCI device ${actual.address ?? '(not picked yet)'}`;
    default:
      return actual.type;
  }
}
