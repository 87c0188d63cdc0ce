import { type Interface, isVirtio } from '../model/interface.ts';
import { type Network, type Portgroup, routedModes } from '../model/network.ts';
import type { Vlan } from '../model/vlan.ts';
import { ActualnetError } from '../report/error.ts';
import type { XmlElement } from '../xml/document.ts';
import type { Actual } from './actual.ts';
import { driverRefusal } from './hostdev.ts';
import { formatLibvirtVersion, hasVlanOnPlainBridge, type LibvirtVersion } from './version.ts';

/**
 * Refuses what libvirt refuses once the actual type is known (virDomainActualNetDefValidate and
 * qemuDomainValidateActualNetDef), and the VF settings that fail when the device is set up (virhostdev.c).
 */
export function validateActual(
  iface: Interface,
  actual: Actual,
  { version, hypervisor }: { version: () => LibvirtVersion; hypervisor: string | undefined },
): void {
  const refusal = [
    targetRefusal(iface),
    vlanRefusal(actual, version),
    hostDeviceRefusal(actual, hypervisor),
    ...optionRefusals(iface, actual),
  ].find(found => found !== undefined);
  if (refusal !== undefined) throw new ActualnetError('ACTUAL_UNSUPPORTED', refusal);
}

function vlanRefusal(actual: Actual, version: () => LibvirtVersion): string | undefined {
  if (actual.vlan === undefined) return undefined;
  switch (actual.type) {
    case 'hostdev':
      if (actual.virtualport !== undefined) return 'a host device cannot have both a vlan and a virtualport';
      if (isTrunk(actual.vlan)) return 'a virtual function takes one vlan tag and no trunk';
      return undefined;
    case 'direct':
      if (actual.mode !== 'passthrough')
        return `a vlan is not possible on macvtap in mode '${actual.mode}', only in passthrough`;
      return isTrunk(actual.vlan) ? 'a device passed through takes one vlan tag and no trunk' : undefined;
    case 'bridge':
      if (actual.virtualport?.type === 'openvswitch') return undefined;
      if (actual.virtualport === undefined && hasVlanOnPlainBridge(version())) return undefined;
      return `a vlan on a Linux bridge needs libvirt 11.0.0 or Open vSwitch, this is libvirt ${formatLibvirtVersion(version())}`;
    default:
      return `a vlan is not possible on a connection of type '${actual.type}'`;
  }
}

function isTrunk(vlan: Vlan): boolean {
  return vlan.trunk || vlan.tags.length > 1;
}

/** A tap that is the administrator's has to be named, and only an interface of type ethernet can have one. */
function targetRefusal({ type, target }: Interface): string | undefined {
  if (target.managed) return undefined;
  if (type !== 'ethernet')
    return `a target with managed='no' is possible for an interface of type 'ethernet' only, this is '${type}'`;
  return target.dev === undefined ? "a target with managed='no' needs the name of the tap: <target dev>" : undefined;
}

function hostDeviceRefusal(actual: Actual, hypervisor: string | undefined): string | undefined {
  if (actual.type !== 'hostdev') return undefined;
  const driver = driverRefusal(actual, hypervisor);
  if (driver !== undefined) return driver;
  if (actual.virtualport === undefined || actual.virtualport.type === '802.1Qbh') return undefined;
  return `virtualport type '${actual.virtualport.type ?? 'none'}' cannot be set up on a host device, only 802.1Qbh`;
}

const queueTypes = ['network', 'bridge', 'direct', 'ethernet', 'vhostuser', 'vdpa'];
const tapTypes = ['network', 'bridge', 'ethernet'];
/** By the type as it is written: what a network makes of it is not asked (qemuDomainNetSupportsMTU). */
const mtuTypes = [...tapTypes, 'vhostuser'];

function optionRefusals(iface: Interface, actual: Actual): (string | undefined)[] {
  const { type } = actual;
  const typedPort = actual.virtualport?.type;
  const multiqueue = (iface.queues ?? 0) > 1;
  return [
    actual.bandwidth !== undefined && type === 'hostdev'
      ? 'bandwidth limits cannot be applied to a host device'
      : undefined,
    actual.isolated && type !== 'network' && type !== 'bridge'
      ? `port isolation needs a Linux bridge, not '${type}'`
      : undefined,
    actual.isolated && typedPort !== undefined
      ? `port isolation cannot be combined with virtualport '${typedPort}'`
      : undefined,
    multiqueue && !queueTypes.includes(type) ? `multiqueue is not possible for '${type}'` : undefined,
    iface.filter !== undefined && (!tapTypes.includes(type) || typedPort !== undefined)
      ? `the filter '${iface.filter}' cannot be applied to a connection of type '${type}'${typedPort === undefined ? '' : ` with a virtualport`}`
      : undefined,
    iface.tapBackend !== undefined && !tapTypes.includes(type)
      ? `a custom tap path is not possible for '${type}'`
      : undefined,
    iface.teaming?.type === 'persistent' && iface.model !== undefined && !isVirtio(iface.model)
      ? `the persistent member of a team must be a virtio card, not '${iface.model}'`
      : undefined,
    iface.mtu && iface.type === type && !mtuTypes.includes(type) ? `an <mtu> is not possible for '${type}'` : undefined,
    iface.element.child('coalesce') !== undefined && iface.type === type && !['network', 'bridge'].includes(type)
      ? `<coalesce> is not possible for '${type}'`
      : undefined,
    iface.teaming?.type === 'transient' && type !== 'hostdev'
      ? `the transient member of a team must be a host device, not '${type}'`
      : undefined,
  ];
}

/**
 * Why libvirt would not let `network` be defined, although it parses: the rules of networkValidate about vlans,
 * bandwidth and addressing. A running network has passed them; a file may not have.
 */
export function definitionRefusals(network: Network, version: LibvirtVersion): string[] {
  const refusals: string[] = [];
  const typed = network.virtualport?.type;
  const plainBridge = network.mode === 'bridge' && network.virtualport === undefined && hasVlanOnPlainBridge(version);
  const allowed =
    network.mode === 'hostdev' ||
    network.mode === 'passthrough' ||
    (network.mode === 'bridge' && typed === 'openvswitch') ||
    plainBridge;
  const refuse = (what: string) => refusals.push(`libvirt would not define ${network.owner}: ${what}`);
  if (network.vlan !== undefined && !allowed && !network.portgroups.some(group => group.isDefault)) {
    refuse(`its <vlan> is not possible with forward mode '${network.mode}'`);
  }
  for (const group of network.portgroups) {
    if ((group.vlan ?? network.vlan) !== undefined && !isVlanAllowedFor(group, network, allowed)) {
      refuse(`the vlan that applies to portgroup '${group.name}' is not possible with forward mode '${network.mode}'`);
    }
  }
  const withBandwidth =
    routedModes.includes(network.mode) || (network.mode === 'bridge' && network.bridge !== undefined);
  const shaped = [network, ...network.portgroups].find(({ bandwidth }) => bandwidth !== undefined);
  if (shaped !== undefined && !withBandwidth) {
    refuse(
      `<bandwidth>${shaped === network ? '' : ` in portgroup '${shaped.name}'`} is not possible with forward mode '${network.mode}'`,
    );
  }
  const addressing = ['mac', 'ip', 'dns', 'domain'].find(name => hasContent(network.element.child(name)));
  if (addressing !== undefined && !routedModes.includes(network.mode)) {
    refuse(`<${addressing}> is not possible with forward mode '${network.mode}'`);
  }
  return refusals;
}

/** libvirt reads an element without anything in it as if it were not there. */
function hasContent(element: XmlElement | undefined): boolean {
  return element !== undefined && element.attributes.size + element.children.length > 0;
}

function isVlanAllowedFor(group: Portgroup, network: Network, networkAllows: boolean): boolean {
  if (group.virtualport === undefined) return networkAllows;
  return group.virtualport.type === 'openvswitch' && network.mode === 'bridge';
}
