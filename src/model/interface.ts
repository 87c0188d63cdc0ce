import { ActualnetError } from '../report/error.ts';
import type { XmlElement } from '../xml/document.ts';
import { type Bandwidth, readBandwidth } from './bandwidth.ts';
import { type HostDevice, readInterfaceHostDevice } from './host-device.ts';
import { type Reader, readNumber } from './numbers.ts';
import { isEmptyAddress, type PciAddress, readPciAddress } from './pci-address.ts';
import {
  dropUndefined,
  type MacAddress,
  type Owner,
  parseUuid,
  readKnown,
  readMac,
  readOneOf,
  readRequired,
  readText,
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
  /** Of a virtio card; libvirt looks at no other's `<driver>`. */
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

/** What a device's reader needs of the document around it. */
export interface DeviceContext {
  readonly form: DocumentForm;
  /** `<iommufd enabled='yes'>` of the guest: the default of its host devices. */
  readonly iommufd: boolean;
  readonly reader: Reader;
}

export function readInterface(
  element: XmlElement,
  context: DeviceContext & { readonly guest: Owner; readonly index: number },
): Interface {
  const { form } = context;
  const macElement = element.child('mac');
  const hasMac = macElement?.attribute('address') !== undefined;
  const mac = hasMac ? readMac(`${context.guest}, interface ${context.index}`, macElement) : undefined;
  const owner = `${context.guest}, interface ${mac ?? context.index}`;
  const type = readOneOf(owner, element, 'type', interfaceTypes) ?? 'user';
  const connection = readConnection(owner, element, { ...context, type });
  if (type === 'network') readRequired(owner, requireChild(owner, element, 'source'), 'network');
  const actualElement = form === 'status' ? element.child('actual') : undefined;
  const model = readText(element.child('model'), 'type');
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
    model,
    queues: isVirtio(model) && type !== 'hostdev' ? readOf(owner, element.child('driver'), 'queues') : undefined,
    // libvirt takes 0 for none.
    mtu: readOf(owner, element.child('mtu'), 'size') || undefined,
    tapBackend: readText(element.child('backend'), 'tap'),
    filter: readText(element.child('filterref'), 'filter'),
    teaming: readTeaming(owner, element),
    actual: actualElement && readActual(owner, actualElement, context),
  });
}

/** The `<alias>` of a device as libvirt would keep it from this document. */
export function readAlias(device: XmlElement, form: DocumentForm): string | undefined {
  const alias = readText(device.child('alias'), 'name');
  return alias === undefined || form !== 'inactive' || isUserAlias(alias) ? alias : undefined;
}

/** The `<address type='pci'>` of a device itself, not of its source; all zeros leave the choice to libvirt. */
export function readGuestAddress(owner: Owner, device: XmlElement): PciAddress | undefined {
  const address = device.child('address');
  if (address?.attribute('type') !== 'pci') return undefined;
  const place = readPciAddress(owner, address);
  return isEmptyAddress(place) ? undefined : place;
}

/** Whether a card of that model is virtio's, which alone has queues and can be a team's persistent member. */
export function isVirtio(model: string | undefined): boolean {
  return model === 'virtio' || model === 'virtio-transitional' || model === 'virtio-non-transitional';
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

function readActual(owner: Owner, element: XmlElement, context: DeviceContext): Connection {
  const type = readOneOf(owner, element, 'type', interfaceTypes);
  if (type === undefined)
    wrongValue(owner, element, { place: '@type', expected: `one of ${interfaceTypes.join(', ')}` });
  return { ...readConnection(owner, element, { ...context, type, form: 'status' }), type };
}

function readTarget(owner: Owner, element: XmlElement, form: DocumentForm): Interface['target'] {
  const target = element.child('target');
  const managed = readYesNo(owner, target, 'managed') ?? true;
  const dev = readText(target, 'dev');
  const isGenerated = form === 'inactive' && managed && isKeptByLibvirt(dev ?? '');
  return dropUndefined({ dev: isGenerated ? undefined : dev, managed });
}

function readConnection(
  owner: Owner,
  element: XmlElement,
  context: DeviceContext & { readonly type: InterfaceType },
): Omit<Connection, 'type'> {
  const { type, reader } = context;
  const source = readSource(owner, element, context);
  return dropUndefined({
    source,
    hostDevice: type === 'hostdev' ? readInterfaceHostDevice(owner, element, context.iommufd) : undefined,
    vlan: readVlan(owner, element),
    virtualport: readInterfaceVirtualPort(owner, element, { type, reader }),
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
    network: readText(source, 'network'),
    portgroup: readText(source, 'portgroup'),
    portid: portid === undefined ? undefined : parseUuid(portid),
    bridge: showsBridge ? readText(source, 'bridge') : undefined,
    dev: type === 'direct' ? source.attribute('dev') : undefined,
    mode: type === 'direct' ? (readOneOf(owner, source, 'mode', directModes) ?? 'vepa') : undefined,
    macTableManager: readKnown(source, 'macTableManager', macTableManagers),
  });
}

function readInterfaceVirtualPort(
  owner: Owner,
  element: XmlElement,
  { type, reader }: { type: InterfaceType; reader: Reader },
): VirtualPort | undefined {
  const typeRequired = type === 'bridge' || type === 'direct' || type === 'hostdev';
  if (type !== 'network' && !typeRequired && element.child('virtualport') !== undefined) {
    throw new ActualnetError(
      'XML_VALUE',
      `${owner}: an interface of type '${type}' cannot have a <virtualport> (line ${element.line})`,
    );
  }
  return readVirtualPort(owner, element, { typeRequired, generatesIds: true, reader });
}

export function readTeaming(owner: Owner, element: XmlElement): Interface['teaming'] {
  const teaming = element.child('teaming');
  if (readText(teaming, 'type') === undefined) return undefined;
  const type = readOneOf(owner, teaming!, 'type', ['persistent', 'transient'])!;
  const persistent = readText(teaming, 'persistent');
  if ((type === 'transient') !== (persistent !== undefined)) {
    wrongValue(owner, teaming!, {
      place: '@persistent',
      expected: 'the persistent interface, on the transient one only',
    });
  }
  return dropUndefined({ type, persistent });
}

function readOf(owner: Owner, element: XmlElement | undefined, attribute: string): number | undefined {
  return element && readNumber(owner, element, attribute);
}
