import type { Interface } from '../model/interface.ts';
import { type Network, type Portgroup, routedModes } from '../model/network.ts';
import { dropUndefined } from '../model/values.ts';
import type { VirtualPort } from '../model/virtual-port.ts';
import { describeVlan } from '../model/vlan.ts';
import { ActualnetError } from '../report/error.ts';
import {
  type Actual,
  type ActualDevice,
  type ActualSettings,
  actualTypeOf,
  defaultDriver,
  directModeOf,
} from './actual.ts';
import { type NetworkState, needsExclusiveUse, portOf, withPort } from './network-state.ts';
import { pickDevice, remedyForPool } from './pool.ts';
import { completeVirtualPort, mergeVirtualPorts } from './virtual-port.ts';

export interface Allocation {
  readonly actual: Actual;
  /** One reason a line: why this device, and where each setting comes from. */
  readonly because: readonly string[];
  readonly warnings: readonly string[];
  /** The network with this connection counted, for the guest's next interface. */
  readonly state: NetworkState;
}

/**
 * What libvirt's networkAllocatePort would connect `iface` to, given the ports that exist. Changes nothing.
 *
 * Checks in libvirt's order, so the refusal is the one libvirt would give: inactive network, virtualport conflict,
 * then per mode virtualport type and pool, then bandwidth floor, then virtualport completeness.
 */
export function allocate(state: NetworkState, iface: Interface): Allocation {
  const { network } = state;
  if (!state.active) {
    throw new ActualnetError('NETWORK_INACTIVE', `${network.owner} is not active`, {
      hint: `start it with 'virsh net-start'`,
    });
  }
  const { portgroup, because, warnings } = choosePortgroup(network, iface);
  const virtualport = mergeVirtualPorts([
    { from: 'the interface', virtualport: iface.virtualport },
    { from: network.owner, virtualport: network.virtualport },
    { from: `portgroup '${portgroup?.name}'`, virtualport: portgroup?.virtualport },
  ]);
  const settings = chooseSettings(network, portgroup, iface);
  const picked = chooseDevice(state, virtualport);
  const classId = chooseClassId(state, iface, settings.values);
  const complete = virtualport && completeVirtualPort(virtualport);
  const actual: Actual = dropUndefined({ ...picked.device, ...settings.values, classId, virtualport: complete });
  return {
    actual,
    because: [...picked.because, ...because, ...settings.because, ...describeVirtualPort(complete)],
    warnings,
    state: withPort(state, portOf(actual, iface)),
  };
}

/** A portgroup that does not exist is no error in libvirt, and the default one does not step in: worth a warning. */
function choosePortgroup(network: Network, iface: Interface) {
  const wanted = iface.source.portgroup;
  const portgroup = network.portgroups.find(group => (wanted === undefined ? group.isDefault : group.name === wanted));
  if (portgroup !== undefined) {
    const how = wanted === undefined ? 'the default of' : 'asked for, in';
    return { portgroup, because: [`portgroup '${portgroup.name}' is ${how} ${network.owner}`], warnings: [] };
  }
  if (wanted === undefined) return { portgroup, because: [], warnings: [] };
  const warning = `${network.owner} has no portgroup '${wanted}'; libvirt goes on without one`;
  return { portgroup, because: [warning], warnings: [warning] };
}

/** vlan and trustGuestRxFilters: interface, portgroup, network. bandwidth: interface, portgroup. isolated: interface, network. */
function chooseSettings(network: Network, portgroup: Portgroup | undefined, iface: Interface) {
  const givers = [
    { from: 'the interface', settings: iface as ActualSettings },
    { from: `portgroup '${portgroup?.name}'`, settings: (portgroup ?? {}) as ActualSettings },
    { from: network.owner, settings: network as ActualSettings },
  ] as const;
  const first = <K extends keyof ActualSettings>(key: K, among: readonly number[]) => {
    const giver = among.map(index => givers[index]!).find(({ settings }) => settings[key] !== undefined);
    return giver && { value: giver.settings[key]!, from: giver.from };
  };
  const vlan = first('vlan', [0, 1, 2]);
  const trust = first('trustGuestRxFilters', [0, 1, 2]);
  const bandwidth = first('bandwidth', [0, 1]);
  const isolated = first('isolated', [0, 2]);
  const because = [
    vlan && `vlan ${describeVlan(vlan.value)} from ${vlan.from}`,
    bandwidth && `bandwidth from ${bandwidth.from}`,
    trust && `trustGuestRxFilters ${yesNo(trust.value)} from ${trust.from}`,
    isolated && `port isolation ${yesNo(isolated.value)} from ${isolated.from}`,
  ].filter(reason => reason !== undefined);
  const values: ActualSettings = dropUndefined({
    vlan: vlan?.value,
    bandwidth: bandwidth?.value,
    trustGuestRxFilters: trust?.value,
    isolated: isolated?.value,
  });
  return { values, because };
}

function chooseDevice(
  state: NetworkState,
  virtualport: VirtualPort | undefined,
): { device: ActualDevice; because: readonly string[] } {
  const { network } = state;
  const type = actualTypeOf(network);
  const mode = network.mode === 'none' ? 'no forward mode (isolated)' : `forward mode '${network.mode}'`;
  const because = [`${network.owner} has ${mode}${describeBridge(network)}, so the actual type is ${type}`];
  switch (type) {
    case 'network':
    case 'bridge':
      checkVirtualPortType(network, virtualport, type === 'bridge' ? ['openvswitch'] : []);
      return {
        device: dropUndefined({ type, bridge: network.bridge, macTableManager: network.macTableManager }),
        because,
      };
    case 'direct': {
      checkVirtualPortType(network, virtualport, ['802.1Qbg', '802.1Qbh']);
      const direct = { type, mode: directModeOf(network.mode) };
      if (isUnexpanded(network)) return { device: direct, because: [...because, unexpanded(network)] };
      if (network.pool.length === 0) throw noForwardDevice(network);
      const pick = pickDevice(state, needsExclusiveUse(network, dropUndefined({ virtualport })));
      return { device: { ...direct, ...(pick.device as { dev: string }) }, because: [...because, pick.because] };
    }
    case 'hostdev': {
      const { driver = defaultDriver, driverModel, iommufd } = network;
      const device = dropUndefined({ type, managed: network.managed, driver, driverModel, iommufd });
      const driverFrom = network.driver === undefined ? 'by default' : `from ${network.owner}`;
      because.push(`managed ${yesNo(network.managed)} from ${network.owner}, driver '${driver}' ${driverFrom}`);
      if (isUnexpanded(network)) {
        checkVirtualPortType(network, virtualport, ['802.1Qbg', '802.1Qbh']);
        return { device, because: [...because, unexpanded(network)] };
      }
      const pick = pickDevice(state, true);
      checkVirtualPortType(network, virtualport, ['802.1Qbg', '802.1Qbh']);
      if (!('address' in pick.device)) throw noForwardDevice(network);
      return { device: { ...device, address: pick.device.address }, because: [...because, pick.because] };
    }
  }
}

function checkVirtualPortType(
  network: Network,
  virtualport: VirtualPort | undefined,
  allowed: readonly string[],
): void {
  if (virtualport === undefined || (virtualport.type !== undefined && allowed.includes(virtualport.type))) return;
  const what = virtualport.type === undefined ? 'an untyped virtualport' : `virtualport type '${virtualport.type}'`;
  throw new ActualnetError(
    'VIRTUALPORT_MODE',
    `${what} cannot be used with ${network.owner} (${actualTypeOf(network)})`,
    {
      hint: allowed.length === 0 ? 'remove the <virtualport>' : `possible here: ${allowed.join(', ')}`,
    },
  );
}

/** libvirt fills a `<pf>` pool when the network starts; a document from before that cannot tell the device. */
function isUnexpanded(network: Network): boolean {
  return network.pf !== undefined && network.pool.length === 0;
}

function unexpanded(network: Network): string {
  return `the device will be one of the virtual functions of '${network.pf}', which libvirt lists when ${network.owner} starts`;
}

function noForwardDevice({ owner, mode, pool }: Network): ActualnetError {
  const why = pool.length === 0 ? 'its pool is empty' : 'its pool has names, where PCI addresses are needed';
  return new ActualnetError('NO_FORWARD_DEVICE', `${owner} has forward mode '${mode}' but no forward device: ${why}`, {
    hint: remedyForPool(mode),
  });
}

/** A traffic class for an inbound floor; ids 0 to 2 are taken by libvirt itself (networkCheckBandwidth, networkNextClassID). */
function chooseClassId(state: NetworkState, iface: Interface, settings: ActualSettings): number | undefined {
  const floor = settings.bandwidth?.inbound?.floor ?? 0;
  if (floor === 0) return undefined;
  const { network } = state;
  if (!routedModes.includes(network.mode)) {
    throw new ActualnetError(
      'FLOOR_UNSUPPORTED',
      `a bandwidth floor needs a nat, route, open or isolated network, ${network.owner} is '${network.mode}'`,
    );
  }
  const limits = network.bandwidth?.inbound;
  if (limits === undefined) {
    throw new ActualnetError(
      'FLOOR_UNSUPPORTED',
      `${network.owner} has no inbound bandwidth, so the floor of ${iface.mac ?? `interface ${iface.index}`} is impossible`,
      {
        hint: 'give the network a <bandwidth><inbound average=.../></bandwidth>',
      },
    );
  }
  const classed = state.ports.filter(port => port.classId !== undefined);
  const sum = classed.reduce((total, port) => total + (port.bandwidth?.inbound?.floor ?? 0), floor);
  const limit = limits.peak ?? limits.average ?? 0;
  if (sum > limit) {
    throw new ActualnetError(
      'FLOOR_EXCEEDED',
      `the floors on ${network.owner} would add up to ${sum} kB/s, more than its inbound ${limits.peak === undefined ? 'average' : 'peak'} of ${limit} kB/s`,
    );
  }
  let classId = 3;
  while (classed.some(port => port.classId === classId)) classId++;
  return classId;
}

function describeBridge(network: Network): string {
  return network.bridge === undefined ? '' : ` and bridge '${network.bridge}'`;
}

function describeVirtualPort(virtualport: VirtualPort | undefined): string[] {
  if (virtualport === undefined) return [];
  const given = Object.entries(virtualport.parameters).map(([name, value]) => `${name} ${value}`);
  const made = virtualport.generated.map(name => `${name} generated by libvirt`);
  return [`virtualport ${[virtualport.type ?? 'untyped', ...given, ...made].join(', ')}`];
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
