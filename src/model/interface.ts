import { ActualnetError } from '../report/error.ts';
import type { XmlElement } from '../xml/document.ts';
import { type Bandwidth, readBandwidth } from './bandwidth.ts';
import { type PciAddress, readPciAddress } from './pci-address.ts';
import {
  dropUndefined,
  type MacAddress,
  type Owner,
  parseUuid,
  readInteger,
  readMac,
  readOneOf,
  readRequired,
  readYesNo,
  requireChild,
  type Uuid,
  wrongValue,
} from './values.ts';
import { readVirtualPort, type VirtualPort } from './virtual-port.ts';
import { readVlan, type Vlan } from './vlan.ts';

export const interfaceTypes = [
  'user',
  'ethernet',
  'vhostuser',
  'server',
  'client',
  'mcast',
  'network',
  'bridge',
  'internal',
  'direct',
  'hostdev',
  'udp',
  'vdpa',
  'null',
  'vds',
] as const;
export type InterfaceType = (typeof interfaceTypes)[number];

export const directModes = ['vepa', 'private', 'bridge', 'passthrough'] as const;
export type DirectMode = (typeof directModes)[number];

export const macTableManagers = ['kernel', 'libvirt'] as const;
export type MacTableManager = (typeof macTableManagers)[number];

/** The host device behind an interface of type hostdev, or a plain `<hostdev>`. */
export interface HostDevice {
  /** `pci` for everything that can come from a network. */
  readonly type: string;
  readonly address?: PciAddress;
  readonly managed: boolean;
  readonly driver?: string;
  /** `<driver iommufd='yes'>`: QEMU opens the device itself, not its group. */
  readonly iommufd?: boolean;
}

/** `<source>` as written, for the types whose host side matters here. */
export interface InterfaceSource {
  readonly network?: string;
  readonly portgroup?: string;
  readonly portid?: Uuid;
  readonly bridge?: string;
  readonly dev?: string;
  readonly mode?: DirectMode;
  readonly macTableManager?: MacTableManager;
}

/** Type, host side and settings: what `<interface>` and the `<actual>` of a status document have in common. */
export interface Connection {
  readonly type: InterfaceType;
  readonly source: InterfaceSource;
  readonly hostDevice?: HostDevice;
  readonly vlan?: Vlan;
  readonly virtualport?: VirtualPort;
  readonly bandwidth?: Bandwidth;
  readonly trustGuestRxFilters?: boolean;
  readonly isolated?: boolean;
}

/** One `<interface>`. What is not needed here stays in `element`. */
export interface Interface extends Connection {
  readonly element: XmlElement;
  /** How messages name it: the guest, then the MAC or the position. */
  readonly owner: Owner;
  /** Position among the guest's interfaces, from 0. */
  readonly index: number;
  readonly mac?: MacAddress;
  readonly alias?: string;
  /** Where the guest sees it, if it is on its PCI bus. */
  readonly guestAddress?: PciAddress;
  readonly target: { readonly dev?: string; readonly managed: boolean };
  readonly model?: string;
  readonly queues?: number;
  readonly mtu?: number;
  readonly tapBackend?: string;
  readonly filter?: string;
  readonly teaming?: { readonly type: 'persistent' | 'transient'; readonly persistent?: string };
  /** `<actual>` of a status document: what libvirt has allocated. */
  readonly actual?: Connection;
}

/**
 * Which kind of document a device stands in. Only a live one (with a domain id) shows what libvirt has connected and
 * named; only a status one has `<actual>`. From any other, libvirt drops such things while it parses, and so do we.
 */
export type DocumentForm = 'inactive' | 'live' | 'status';

export function readInterface(
  element: XmlElement,
  context: { guest: Owner; index: number; form: DocumentForm },
): Interface {
  const { form } = context;
  const macElement = element.child('mac');
  const mac = macElement && readMac(`${context.guest}, interface ${context.index}`, macElement);
  const owner = `${context.guest}, interface ${mac ?? context.index}`;
  const type = readOneOf(owner, element, 'type', interfaceTypes) ?? 'user';
  const connection = readConnection(owner, element, { type, form });
  if (type === 'network') readRequired(owner, requireChild(owner, element, 'source'), 'network');
  const actualElement = form === 'status' ? element.child('actual') : undefined;
  return dropUndefined({
    element,
    owner,
    index: context.index,
    mac,
    ...connection,
    type,
    alias: readAlias(element, form),
    guestAddress: readGuestAddress(owner, element),
    target: readTarget(owner, element, form),
    model: element.child('model')?.attribute('type'),
    queues: readChildInteger(owner, element.child('driver'), 'queues'),
    mtu: readChildInteger(owner, element.child('mtu'), 'size'),
    tapBackend: element.child('backend')?.attribute('tap'),
    filter: element.child('filterref')?.attribute('filter'),
    teaming: readTeaming(owner, element),
    actual: actualElement && readActual(owner, actualElement),
  });
}

/** The `<alias>` of a device as libvirt would keep it from this document. */
export function readAlias(device: XmlElement, form: DocumentForm): string | undefined {
  const alias = device.child('alias')?.attribute('name');
  return alias === undefined || form !== 'inactive' || isUserAlias(alias) ? alias : undefined;
}

/** The `<address type='pci'>` of a device itself, not of its source. */
export function readGuestAddress(owner: Owner, device: XmlElement): PciAddress | undefined {
  const address = device.child('address');
  // Half an address is libvirt's to complain about; it is nothing we act on.
  const isWhole = ['bus', 'slot', 'function'].every(name => address?.attribute(name) !== undefined);
  return address?.attribute('type') === 'pci' && isWhole ? readPciAddress(owner, address) : undefined;
}

/** `ua-` and then letters, digits, `_` and `-` only (libvirt's virDomainDeviceAliasIsUserAlias). */
export function isUserAlias(alias: string): boolean {
  return /^ua-[A-Za-z0-9_-]*$/.test(alias);
}

/**
 * Whether libvirt takes a target's name in a definition for one that it has given itself, and forgets it
 * (VIR_NET_GENERATED_VNET_PREFIX and its like).
 */
export function isKeptByLibvirt(name: string): boolean {
  return /^(vnet|macvtap|macvlan)/.test(name);
}

/** `managed` and `<driver name>` of a host device, wherever it stands. */
export function readHostDevice(owner: Owner, element: XmlElement, address: XmlElement | undefined): HostDevice {
  const type = address?.attribute('type') ?? 'pci';
  return dropUndefined({
    type,
    address: type === 'pci' && address !== undefined ? readPciAddress(owner, address) : undefined,
    managed: readYesNo(owner, element, 'managed') ?? false,
    driver: element.child('driver')?.attribute('name'),
    iommufd: readYesNo(owner, element.child('driver'), 'iommufd') || undefined,
  });
}

function readActual(owner: Owner, element: XmlElement): Connection {
  const type = readOneOf(owner, element, 'type', interfaceTypes);
  if (type === undefined)
    wrongValue(owner, element, { place: '@type', expected: `one of ${interfaceTypes.join(', ')}` });
  return { ...readConnection(owner, element, { type, form: 'status' }), type };
}

function readTarget(owner: Owner, element: XmlElement, form: DocumentForm): Interface['target'] {
  const target = element.child('target');
  const managed = readYesNo(owner, target, 'managed') ?? true;
  const dev = target?.attribute('dev');
  const isGenerated = form === 'inactive' && managed && isKeptByLibvirt(dev ?? '');
  return dropUndefined({ dev: isGenerated ? undefined : dev, managed });
}

function readConnection(
  owner: Owner,
  element: XmlElement,
  context: { type: InterfaceType; form: DocumentForm },
): Omit<Connection, 'type'> {
  const { type } = context;
  const source = readSource(owner, element, context);
  return dropUndefined({
    source,
    hostDevice: type === 'hostdev' ? readInterfaceHostDevice(owner, element) : undefined,
    vlan: readVlan(owner, element),
    virtualport: readInterfaceVirtualPort(owner, element, type),
    bandwidth: readBandwidth(owner, element, { allowsFloor: type === 'network' || source.network !== undefined }),
    trustGuestRxFilters: readYesNo(owner, element, 'trustGuestRxFilters'),
    isolated: readYesNo(owner, element.child('port'), 'isolated'),
  });
}

function readSource(
  owner: Owner,
  element: XmlElement,
  { type, form }: { type: InterfaceType; form: DocumentForm },
): InterfaceSource {
  const source = element.child('source');
  if (source === undefined) {
    if (type === 'bridge' || type === 'direct') requireChild(owner, element, 'source');
    return {};
  }
  if (type === 'bridge') readRequired(owner, source, 'bridge');
  if (type === 'direct') readRequired(owner, source, 'dev');
  const portid = form === 'inactive' ? undefined : source.attribute('portid');
  const showsBridge = type !== 'network' || form !== 'inactive';
  return dropUndefined({
    network: source.attribute('network'),
    portgroup: source.attribute('portgroup'),
    portid: portid === undefined ? undefined : parseUuid(portid),
    bridge: showsBridge ? source.attribute('bridge') : undefined,
    dev: type === 'direct' ? source.attribute('dev') : undefined,
    mode: type === 'direct' ? (readOneOf(owner, source, 'mode', directModes) ?? 'vepa') : undefined,
    macTableManager: readOneOf(owner, source, 'macTableManager', macTableManagers),
  });
}

function readInterfaceHostDevice(owner: Owner, element: XmlElement): HostDevice {
  const source = requireChild(owner, element, 'source');
  const address = source.child('address');
  if (address === undefined && source.child('vendor') === undefined) requireChild(owner, source, 'address');
  if (address !== undefined && source.child('vendor') === undefined) readRequired(owner, address, 'type');
  return address === undefined
    ? { type: 'usb', managed: readYesNo(owner, element, 'managed') ?? false }
    : readHostDevice(owner, element, address);
}

function readInterfaceVirtualPort(owner: Owner, element: XmlElement, type: InterfaceType): VirtualPort | undefined {
  const typeRequired = type === 'bridge' || type === 'direct' || type === 'hostdev';
  if (type !== 'network' && !typeRequired && element.child('virtualport') !== undefined) {
    throw new ActualnetError(
      'XML_VALUE',
      `${owner}: an interface of type '${type}' cannot have a <virtualport> (line ${element.line})`,
    );
  }
  return readVirtualPort(owner, element, { typeRequired, generatesIds: true });
}

function readTeaming(owner: Owner, element: XmlElement): Interface['teaming'] {
  const teaming = element.child('teaming');
  if (teaming === undefined) return undefined;
  readRequired(owner, teaming, 'type');
  const type = readOneOf(owner, teaming, 'type', ['persistent', 'transient'])!;
  const persistent = teaming.attribute('persistent');
  if ((type === 'transient') !== (persistent !== undefined)) {
    wrongValue(owner, teaming, {
      place: '@persistent',
      expected: 'the persistent interface, on the transient one only',
    });
  }
  return dropUndefined({ type, persistent });
}

function readChildInteger(owner: Owner, element: XmlElement | undefined, attribute: string): number | undefined {
  return element && readInteger(owner, element, attribute, { min: 0, max: 0xffffffff });
}
