import { ActualnetError } from '../report/error.ts';
import type { XmlDocument, XmlElement } from '../xml/document.ts';
import { type Bandwidth, readBandwidth } from './bandwidth.ts';
import { type HostDevice, readHostDevice } from './host-device.ts';
import { type DirectMode, directModes, type MacTableManager, macTableManagers } from './interface.ts';
import { type Network, readNetwork } from './network.ts';
import { readNumber } from './numbers.ts';
import {
  dropUndefined,
  type MacAddress,
  type Owner,
  readKnown,
  readMac,
  readName,
  readOneOf,
  readRequired,
  readUuid,
  readYesNo,
  requireChild,
  type Uuid,
} from './values.ts';
import { readVirtualPort, type VirtualPort } from './virtual-port.ts';
import { readVlan, type Vlan } from './vlan.ts';

/** What a network port is plugged into; libvirt's words for the actual type. */
export type Plug =
  | { readonly type: 'network' | 'bridge'; readonly bridge: string; readonly macTableManager?: MacTableManager }
  | { readonly type: 'direct'; readonly dev: string; readonly mode: DirectMode }
  | ({ readonly type: 'hostdev-pci' } & Omit<HostDevice, 'type'>);

/** One interface plugged into one network. The uuid is the only key: one MAC may have two ports for a moment. */
export interface NetworkPort {
  readonly element: XmlElement;
  readonly uuid: Uuid;
  readonly ownerName: string;
  readonly ownerUuid: Uuid;
  /** The portgroup as requested; absent when none was named, even if a default one applied. */
  readonly group?: string;
  readonly mac: MacAddress;
  readonly vlan?: Vlan;
  readonly virtualport?: VirtualPort;
  readonly bandwidth?: Bandwidth;
  readonly classId?: number;
  readonly isolated?: boolean;
  readonly trustGuestRxFilters?: boolean;
  /** Absent while nothing is allocated. */
  readonly plug?: Plug;
}

/** What the network hook gets on stdin. */
export interface HookData {
  readonly network: Network;
  readonly port?: NetworkPort;
}

export function readHookData(document: XmlDocument): HookData {
  const { root } = document;
  if (root.name !== 'hookData')
    throw new ActualnetError('XML_KIND', `the document is a <${root.name}>, not a <hookData>`);
  const port = root.child('networkport');
  return dropUndefined({ network: readNetwork(root), port: port && readNetworkPort(port) });
}

export function readNetworkPort(element: XmlElement): NetworkPort {
  if (element.name !== 'networkport') {
    throw new ActualnetError('XML_KIND', `the document is a <${element.name}>, not a <networkport>`);
  }
  const unnamed = 'the network port';
  const uuid = requiredUuid(unnamed, element);
  const owner = `network port ${uuid}`;
  const ownerElement = requireChild(owner, element, 'owner');
  const bandwidth = element.child('bandwidth');
  const plug = element.child('plug');
  return dropUndefined({
    element,
    uuid,
    ownerName: readName(owner, ownerElement),
    ownerUuid: requiredUuid(owner, ownerElement),
    group: element.child('group')?.text || undefined,
    mac: readMac(owner, requireChild(owner, element, 'mac')),
    vlan: readVlan(owner, element),
    virtualport: readVirtualPort(owner, element, { typeRequired: false, generatesIds: false }),
    bandwidth: readBandwidth(owner, element, { allowsFloor: true }),
    classId: bandwidth && readNumber(owner, bandwidth, 'classID'),
    isolated: readYesNo(owner, element.child('port'), 'isolated'),
    trustGuestRxFilters: readYesNo(owner, element.child('rxfilters'), 'trustGuest'),
    plug: plug && readPlug(owner, plug),
  });
}

function readPlug(owner: Owner, element: XmlElement): Plug {
  readRequired(owner, element, 'type');
  const type = readOneOf(owner, element, 'type', ['network', 'bridge', 'direct', 'hostdev-pci'])!;
  switch (type) {
    case 'network':
    case 'bridge':
      return dropUndefined({
        type,
        bridge: readRequired(owner, element, 'bridge'),
        macTableManager: readKnown(element, 'macTableManager', macTableManagers),
      });
    case 'direct':
      return {
        type,
        dev: readRequired(owner, element, 'dev'),
        mode: readOneOf(owner, element, 'mode', directModes) ?? 'vepa',
      };
    case 'hostdev-pci':
      requireChild(owner, element, 'address');
      return { ...readHostDevice(owner, element, { source: element, iommufd: false }), type };
  }
}

function requiredUuid(owner: Owner, parent: XmlElement): Uuid {
  return readUuid(owner, requireChild(owner, parent, 'uuid'))!;
}
