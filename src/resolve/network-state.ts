import type { Interface } from '../model/interface.ts';
import { describePoolDevice, type Network, type PoolDevice } from '../model/network.ts';
import type { NetworkPort, Plug } from '../model/network-port.ts';
import { dropUndefined } from '../model/values.ts';
import type { Actual } from './actual.ts';

/** A port that is counted; a predicted one has no uuid and no owner yet. */
export type CountedPort = Partial<NetworkPort>;

/** A network and everything that is plugged into it. Counting connections means counting ports, as libvirt does. */
export interface NetworkState {
  readonly network: Network;
  readonly active: boolean;
  readonly ports: readonly CountedPort[];
}

/** The same with one port more. The others are not asked for before somebody counts: a bridge may have a thousand. */
export function withPort(state: NetworkState, port: CountedPort): NetworkState {
  const { network, active } = state;
  let ports: readonly CountedPort[] | undefined;
  return {
    network,
    active,
    get ports() {
      ports ??= [...state.ports, port];
      return ports;
    },
  };
}

/** How many ports use each pool device, by its name or address: libvirt's per-device counters. */
export function countConnections(state: NetworkState): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const port of state.ports) {
    const name = pluggedDevice(port);
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** passthrough macvtaps and 802.1Qbh in private mode cannot share a device (libvirt's networkAllocatePort). */
export function needsExclusiveUse(network: Network, settings: Pick<CountedPort, 'virtualport'>): boolean {
  return network.mode === 'passthrough' || (network.mode === 'private' && settings.virtualport?.type === '802.1Qbh');
}

/** The pool entry a port is plugged into. */
export function poolDeviceOf(state: NetworkState, port: CountedPort): PoolDevice | undefined {
  const name = pluggedDevice(port);
  return state.network.pool.find(device => describePoolDevice(device) === name);
}

/** Name or address of the pool device in a port's plug; undefined for bridges. */
export function pluggedDevice(port: CountedPort): string | undefined {
  if (port.plug?.type === 'direct') return port.plug.dev;
  return port.plug?.type === 'hostdev-pci' ? port.plug.address : undefined;
}

/** The port a connection makes, as far as it can be known before libvirt makes it. */
export function portOf(actual: Actual, iface: Interface): CountedPort {
  const { vlan, virtualport, bandwidth, classId, isolated, trustGuestRxFilters } = actual;
  return dropUndefined({
    mac: iface.mac,
    group: iface.source.portgroup,
    vlan,
    virtualport,
    bandwidth,
    classId,
    isolated,
    trustGuestRxFilters,
    plug: plugOf(actual),
  });
}

function plugOf(actual: Actual): Plug | undefined {
  if (actual.type === 'network' || actual.type === 'bridge') {
    return dropUndefined({ type: actual.type, bridge: actual.bridge ?? '', macTableManager: actual.macTableManager });
  }
  if (actual.type === 'direct' && actual.dev !== undefined)
    return { type: 'direct', dev: actual.dev, mode: actual.mode };
  if (actual.type !== 'hostdev') return undefined;
  const { address, managed, driver, driverModel, iommufd } = actual;
  return dropUndefined({ type: 'hostdev-pci', address, managed, driver, driverModel, iommufd });
}
