import type { Domain } from '../model/domain.ts';
import { describePoolDevice } from '../model/network.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import { recordedActual } from './actual.ts';
import type { NetworkLookup } from './guest.ts';
import {
  type CountedPort,
  countConnections,
  type NetworkState,
  needsExclusiveUse,
  pluggedDevice,
  poolDeviceOf,
  portOf,
  withPort,
} from './network-state.ts';

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
  if (exclusive && countConnections(state).has(describePoolDevice(device)))
    refuse(`${describePoolDevice(device)} is in use by another port`);
  return withPort(state, port);
}

/**
 * The ports of a running guest that its networks do not count any more, one line each: a network was restarted under
 * the guest. libvirt claims them again when its QEMU daemon restarts; if it cannot, the guest keeps the connection and
 * the network may give the device away a second time.
 */
export function findLostPorts(domain: Domain, findNetwork: NetworkLookup): string[] {
  return domain.interfaces.flatMap(iface => {
    const { network, portid } = iface.source;
    const actual = recordedActual(iface);
    const state = network === undefined ? undefined : findNetwork(network);
    if (actual === undefined || state === undefined || portid === undefined) return [];
    if (state.ports.some(({ uuid }) => uuid === portid)) return [];
    const name = `interface ${iface.mac ?? iface.index}`;
    try {
      claimPort(state, portOf(actual, iface));
      return [`${name}: ${state.network.owner} does not count its port any more`];
    } catch (error) {
      return [`${name}: ${asActualnetError(error).message}`];
    }
  });
}
