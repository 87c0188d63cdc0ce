import { describePoolDevice, type ForwardMode, type PoolDevice } from '../model/network.ts';
import { ActualnetError } from '../report/error.ts';
import { countConnections, type NetworkState } from './network-state.ts';

/** A picked device and the reason for it. */
export interface Pick {
  readonly device: PoolDevice;
  readonly because: string;
}

/**
 * libvirt's choice from a pool: for exclusive use the first device without a connection, otherwise the one with the
 * fewest, the earlier one winning ties. Only connections to this network count; nothing else makes a device busy here.
 */
export function pickDevice(state: NetworkState, exclusive: boolean): Pick {
  const { network } = state;
  const counts = countConnections(state);
  const counted = network.pool.map(device => ({ device, connections: counts.get(describePoolDevice(device)) ?? 0 }));
  if (exclusive) {
    const free = counted.find(entry => entry.connections === 0);
    if (counted.length === 0) {
      throw new ActualnetError('POOL_EXHAUSTED', `its pool is empty`, {
        owner: network.owner,
        hint: remedyForPool(network.mode),
      });
    }
    if (free === undefined) {
      throw new ActualnetError('POOL_EXHAUSTED', `all ${counted.length} devices are in use`, {
        owner: network.owner,
        hint: 'stop a guest that uses the network, or add devices to it',
      });
    }
    const name = describePoolDevice(free.device);
    return {
      device: free.device,
      because: `${name} is the first unused of ${counted.length} in the pool of ${network.owner}`,
    };
  }
  const least = counted.reduce((best, entry) => (entry.connections < best.connections ? entry : best));
  const name = describePoolDevice(least.device);
  return {
    device: least.device,
    because: `${name} has the fewest connections (${least.connections}) in the pool of ${network.owner}`,
  };
}

/** How a network gets devices to hand out. */
export function remedyForPool(mode: ForwardMode): string {
  return mode === 'hostdev'
    ? "list VFs as <address type='pci'> in its <forward>, or name their PF as <pf>"
    : 'add <interface> or <pf> to its <forward>';
}
