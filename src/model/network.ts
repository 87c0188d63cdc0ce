import { ActualnetError } from '../report/error.ts';
import type { XmlElement } from '../xml/document.ts';
import { type Bandwidth, readBandwidth } from './bandwidth.ts';
import type { HostDriver } from './host-device.ts';
import { type MacTableManager, macTableManagers } from './interface.ts';
import { type Reader, readNumber } from './numbers.ts';
import { type PciAddress, readPciAddress } from './pci-address.ts';
import {
  checkListLength,
  dropUndefined,
  isYes,
  type Owner,
  readName,
  readOneOf,
  readRequired,
  readText,
  readUuid,
  readYesNo,
  type Uuid,
  wrongValue,
} from './values.ts';
import { readVirtualPort, type VirtualPort } from './virtual-port.ts';
import { readVlan, type Vlan } from './vlan.ts';

/** `none` is a network without `<forward>`: isolated. */
export const forwardModes = [
  'none',
  'nat',
  'route',
  'open',
  'bridge',
  'private',
  'vepa',
  'passthrough',
  'hostdev',
] as const;
export type ForwardMode = (typeof forwardModes)[number];

/** The modes in which the network has a bridge, addresses and a DHCP server of its own. */
export const routedModes: readonly ForwardMode[] = ['none', 'nat', 'route', 'open'];

/** An entry of a network's device pool. */
export type PoolDevice = { readonly dev: string } | { readonly address: PciAddress };

export interface Portgroup {
  readonly name: string;
  readonly isDefault: boolean;
  readonly vlan?: Vlan;
  readonly virtualport?: VirtualPort;
  readonly bandwidth?: Bandwidth;
  readonly trustGuestRxFilters?: boolean;
}

export interface Network extends HostDriver {
  readonly element: XmlElement;
  readonly owner: Owner;
  readonly name: string;
  readonly uuid?: Uuid;
  readonly mode: ForwardMode;
  /** `<forward managed>`, for hostdev networks. */
  readonly managed: boolean;
  /** In document order. Empty with `pf` until the network starts, when libvirt fills in the PF's functions. */
  readonly pool: readonly PoolDevice[];
  readonly pf?: string;
  readonly bridge?: string;
  readonly macTableManager?: MacTableManager;
  readonly mtu?: number;
  readonly vlan?: Vlan;
  readonly virtualport?: VirtualPort;
  readonly bandwidth?: Bandwidth;
  readonly trustGuestRxFilters?: boolean;
  readonly isolated?: boolean;
  readonly portgroups: readonly Portgroup[];
}

/** Reads a `<network>`, alone or inside `<networkstatus>` or `<hookData>`; `reader` is the libvirt that reads it. */
export function readNetwork(root: XmlElement, reader?: Reader): Network {
  const element = root.name === 'network' ? root : root.child('network');
  if (element === undefined) throw new ActualnetError('XML_KIND', `the document is a <${root.name}>, not a <network>`);
  const name = readName('the network', element);
  const owner = `network '${name}'`;
  const forward = element.child('forward');
  const mode = readMode(owner, forward);
  const portgroups = element.childrenNamed('portgroup').map(group => readPortgroup(owner, group, reader));
  checkPortgroups(owner, portgroups);
  const mtuElement = element.child('mtu');
  // libvirt takes 0 for none.
  const mtu = (mtuElement && readNumber(owner, mtuElement, 'size')) || undefined;
  if (mtu !== undefined && !routedModes.includes(mode)) {
    wrongValue(owner, mtuElement!, { place: '@size', expected: `no <mtu> in a network with forward mode '${mode}'` });
  }
  return dropUndefined({
    element,
    owner,
    name,
    uuid: readUuid(owner, element.child('uuid')),
    mode,
    managed: isYes(forward?.attribute('managed')),
    ...readDriver(owner, forward?.child('driver')),
    pool: forward === undefined ? [] : readPool(owner, forward, mode),
    pf: readText(forward?.child('pf'), 'dev'),
    ...readBridge(owner, element, mode),
    mtu,
    ...readSettings(owner, element, { typeRequired: true, reader }),
    isolated: readYesNo(owner, element.child('port'), 'isolated'),
    portgroups,
  });
}

/** How a message or a reason names a pool device. */
export function describePoolDevice(device: PoolDevice): string {
  return 'dev' in device ? device.dev : device.address;
}

function readMode(owner: Owner, forward: XmlElement | undefined): ForwardMode {
  if (forward === undefined) return 'none';
  if (readText(forward, 'mode') === undefined) return 'nat';
  return readOneOf(owner, forward, 'mode', forwardModes)!;
}

/** As written: whether libvirt knows the driver depends on its version. */
function readDriver(owner: Owner, element: XmlElement | undefined): HostDriver {
  return dropUndefined({
    driver: readText(element, 'name'),
    driverModel: readText(element, 'model'),
    iommufd: readYesNo(owner, element, 'iommufd'),
  });
}

function readSettings(owner: Owner, element: XmlElement, rules: { typeRequired: boolean; reader: Reader }) {
  return dropUndefined({
    vlan: readVlan(owner, element),
    virtualport: readVirtualPort(owner, element, { ...rules, generatesIds: false }),
    bandwidth: readBandwidth(owner, element, { allowsFloor: false }),
    trustGuestRxFilters: readYesNo(owner, element, 'trustGuestRxFilters'),
  });
}

function readBridge(owner: Owner, network: XmlElement, mode: ForwardMode): Pick<Network, 'bridge' | 'macTableManager'> {
  const element = network.child('bridge');
  const bridge = readText(element, 'name');
  const manager = readText(element, 'macTableManager');
  const macTableManager =
    manager === undefined ? undefined : readOneOf(owner, element!, 'macTableManager', macTableManagers);
  if ((bridge ?? manager) !== undefined && mode !== 'bridge' && !routedModes.includes(mode)) {
    wrongValue(owner, element!, { place: '@name', expected: `no <bridge> in a network with forward mode '${mode}'` });
  }
  return dropUndefined({ bridge, macTableManager });
}

function readPortgroup(network: Owner, element: XmlElement, reader: Reader): Portgroup {
  const name = readRequired(network, element, 'name');
  const owner = `${network}, portgroup '${name}'`;
  return {
    name,
    isDefault: isYes(element.attribute('default')),
    ...readSettings(owner, element, { typeRequired: false, reader }),
  };
}

function checkPortgroups(owner: Owner, portgroups: readonly Portgroup[]): void {
  checkListLength(owner, 'portgroups', portgroups);
  const twice = portgroups.find((group, index) => portgroups.findIndex(other => other.name === group.name) !== index);
  if (twice !== undefined) throw new ActualnetError('XML_VALUE', `portgroup '${twice.name}' is there twice`, { owner });
  const defaults = portgroups.filter(group => group.isDefault);
  if (defaults.length > 1) {
    const names = defaults.map(group => `'${group.name}'`).join(', ');
    throw new ActualnetError('XML_VALUE', `more than one default portgroup (${names})`, { owner });
  }
}

/** The pool as written (libvirt's virNetworkForwardDefParseXML); a live `<pf>` network lists its functions next to `<pf>`. */
function readPool(owner: Owner, forward: XmlElement, mode: ForwardMode): PoolDevice[] {
  const dev = readText(forward, 'dev');
  const interfaces = forward.childrenNamed('interface').map(entry => ({ dev: readRequired(owner, entry, 'dev') }));
  const addresses = forward.childrenNamed('address').map(entry => ({ address: readPoolAddress(owner, entry) }));
  const pfs = forward.childrenNamed('pf');
  if (pfs.length > 1) wrongValue(owner, pfs[1]!, { place: '@dev', expected: 'only one <pf>' });
  for (const pf of pfs)
    if (pf.attribute('dev') === undefined) wrongValue(owner, pf, { place: '@dev', expected: 'the name of a PF' });
  if (interfaces.length > 0 && addresses.length > 0) {
    wrongValue(owner, forward, { place: 'interface', expected: 'a pool of interfaces or of addresses, not both' });
  }
  if (addresses.length > 0 && mode !== 'hostdev') {
    wrongValue(owner, forward, {
      place: 'address',
      expected: `<address> only with forward mode 'hostdev', not '${mode}'`,
    });
  }
  if (dev !== undefined && (addresses.length > 0 || pfs.length > 0)) {
    wrongValue(owner, forward, { place: '@dev', expected: 'no dev together with <address> or <pf>' });
  }
  if (dev !== undefined && interfaces[0] !== undefined && interfaces[0].dev !== dev) {
    wrongValue(owner, forward, { place: '@dev', expected: `the first <interface>, '${interfaces[0].dev}'` });
  }
  const pool: PoolDevice[] = addresses.length > 0 ? addresses : interfaces;
  if (pool.length === 0 && dev !== undefined) return [{ dev }];
  checkListLength(owner, 'devices in the pool', pool);
  const names = pool.map(describePoolDevice);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new ActualnetError('XML_VALUE', `'${twice}' is in the pool twice (line ${forward.line})`, { owner });
  return pool;
}

function readPoolAddress(owner: Owner, element: XmlElement): PciAddress {
  if (element.attribute('type') !== 'pci') wrongValue(owner, element, { place: '@type', expected: "'pci'" });
  return readPciAddress(owner, element);
}
