import { describePoolDevice, type Network, type PoolDevice } from '../model/network.ts';
import type { NetworkPort } from '../model/network-port.ts';
import { ActualnetError } from '../report/error.ts';

/** A port that is counted; a foreseen one has no uuid and no owner yet. */
export type CountedPort = Partial<NetworkPort>;

/** A network and everything that is plugged into it. Counting connections means counting ports, as libvirt does. */
export interface NetworkState {
  readonly network: Network;
  readonly active: boolean;
  readonly ports: readonly CountedPort[];
}

export function withPort(state: NetworkState, port: CountedPort): NetworkState {
  return { ...state, ports: [...state.ports, port] };
}

/** How many ports use `device`: libvirt's per-device counter. */
export function connectionsOf(state: NetworkState, device: PoolDevice): number {
  return state.ports.filter(port => pluggedDevice(port) === describePoolDevice(device)).length;
}

/**
 * Counts a recorded port again, as libvirt does after a restart: the very same device or none, and no setting is taken
 * from the network. Throws `CLAIM_FAILED`; the guest keeps its device either way.
 */
export function claimPort(state: NetworkState, port: CountedPort): NetworkState {
  const { network } = state;
  const refuse = (why: string): never => {
    throw new ActualnetError('CLAIM_FAILED', `${network.owner} cannot take back the port of ${port.mac}: ${why}`);
  };
  if (!state.active) refuse('the network is not active');
  const plug = port.plug ?? refuse('the port has no recorded device');
  if (plug.type === 'network' || plug.type === 'bridge') {
    if (network.bridge === undefined) refuse('the network has no bridge');
    return withPort(state, port);
  }
  const device = poolDeviceOf(state, port);
  if (device === undefined) return refuse(`${pluggedDevice(port)} is not in its pool`);
  const exclusive = plug.type === 'hostdev-pci' ? network.mode === 'hostdev' : needsExclusiveUse(network, port);
  if (exclusive && connectionsOf(state, device) > 0) refuse(`${describePoolDevice(device)} is in use by another port`);
  return withPort(state, port);
}

/** The state without one port. Throws `CLAIM_FAILED` if its device has left the pool: then libvirt cannot count it down. */
export function releasePort(state: NetworkState, port: CountedPort): NetworkState {
  const pooled = port.plug?.type === 'direct' || port.plug?.type === 'hostdev-pci';
  if (pooled && poolDeviceOf(state, port) === undefined) {
    throw new ActualnetError(
      'CLAIM_FAILED',
      `${state.network.owner} cannot release the port of ${port.mac}: ${pluggedDevice(port)} is not in its pool`,
    );
  }
  return { ...state, ports: state.ports.filter(other => other !== port) };
}

/** passthrough macvtaps and 802.1Qbh in private mode cannot share a device (libvirt's networkAllocatePort). */
export function needsExclusiveUse(network: Network, settings: Pick<CountedPort, 'virtualport'>): boolean {
  return network.mode === 'passthrough' || (network.mode === 'private' && settings.virtualport?.type === '802.1Qbh');
}

function poolDeviceOf(state: NetworkState, port: CountedPort): PoolDevice | undefined {
  const name = pluggedDevice(port);
  return state.network.pool.find(device => describePoolDevice(device) === name);
}

function pluggedDevice(port: CountedPort): string | undefined {
  if (port.plug?.type === 'direct') return port.plug.dev;
  return port.plug?.type === 'hostdev-pci' ? port.plug.address : undefined;
}
