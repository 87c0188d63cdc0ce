import type { Domain } from '../model/domain.ts';
import type { Interface } from '../model/interface.ts';
import { pciAddressAttributes } from '../model/pci-address.ts';
import { dropUndefined } from '../model/values.ts';
import { type Actual, defaultDriver } from '../resolve/actual.ts';
import type { XmlElement } from '../xml/document.ts';
import type { XmlEdit } from '../xml/edit.ts';
import { addChildren, type NewElement, setAttribute, writeXml } from './elements.ts';
import type { GuestView } from './guest-view.ts';

/**
 * The edits that make a definition look as libvirt shows it once the guest has started: actual types in place, merged
 * settings, generated aliases. What only a real start can tell (port uuids, tap names, generated ids) is left out.
 */
export function editsToStarted(domain: Domain, view: GuestView): XmlEdit[] {
  const plainHostdevs = view.hostdevs.filter(entry => entry.interface === null);
  return [
    ...domain.interfaces.flatMap(iface => editInterface(iface, view.interfaces[iface.index]!, domain)),
    ...domain.hostdevs.flatMap(({ element, alias, type, driver }, index) => [
      ...(type === 'pci' && driver === undefined ? nameDriver(element) : []),
      ...addChildren(element, alias === undefined ? [aliasElement(plainHostdevs[index]!.alias)] : [], 'host device'),
    ]),
  ];
}

function editInterface(iface: Interface, view: GuestView['interfaces'][number], domain: Domain): XmlEdit[] {
  const { element, hostDevice } = iface;
  const alias = iface.alias === undefined ? [aliasElement(view.alias)] : [];
  const { actual } = view;
  const isRecorded = iface.actual !== undefined || iface.source.bridge !== undefined;
  if (iface.type !== 'network' || actual === null || isRecorded) {
    const usesDefault = hostDevice?.type === 'pci' && hostDevice.driver === undefined;
    return [...(usesDefault ? nameDriver(element) : []), ...addChildren(element, alias, 'alias')];
  }
  const why = `actual type of ${iface.owner}`;
  return [
    setAttribute(element, 'type', actual.type, why),
    ...connectSource(element.child('source')!, actual, why),
    ...(actual.type === 'hostdev' ? editHostDevice(element, actual, { domain, why }) : []),
    ...addChildren(element, [...settingElements(iface, actual), ...alias], why),
  ];
}

function aliasElement(name: string): NewElement {
  return { name: 'alias', attributes: { name } };
}

function editHostDevice(
  element: XmlElement,
  { managed, driver, driverModel, iommufd }: Actual & { readonly type: 'hostdev' },
  { domain, why }: { domain: Domain; why: string },
): XmlEdit[] {
  const own = iommufd === domain.iommufd ? undefined : iommufd;
  const attributes = dropUndefined({
    name: driver ?? defaultDriver,
    model: driverModel,
    iommufd: own === undefined ? undefined : own ? 'yes' : 'no',
  });
  return [
    setAttribute(element, 'managed', managed ? 'yes' : 'no', why),
    ...addChildren(element, [{ name: 'driver', attributes }], why),
  ];
}

/** What only a virtio card's `<driver>` can say; libvirt's schema does not let the name of a host device's stand beside it. */
const virtioAttributes = ['queues', 'rx_queue_size', 'tx_queue_size', 'txmode', 'ioeventfd', 'event_idx'];

/** Names the default driver; everything that is in a `<driver>` already stays. */
function nameDriver(element: XmlElement): XmlEdit[] {
  const present = element.child('driver');
  const why = 'driver';
  if (present === undefined)
    return addChildren(element, [{ name: 'driver', attributes: { name: defaultDriver } }], why);
  const isFull = virtioAttributes.some(each => present.attributes.has(each));
  return isFull ? [] : [setAttribute(present, 'name', defaultDriver, why)];
}

/** libvirt prints the network beside the bridge or device it became; for a host device the network is lost. */
function connectSource(source: XmlElement, actual: Actual, why: string): XmlEdit[] {
  switch (actual.type) {
    case 'network':
    case 'bridge':
      return [
        ...(actual.bridge === undefined ? [] : [setAttribute(source, 'bridge', actual.bridge, why)]),
        ...(actual.macTableManager === undefined
          ? []
          : [setAttribute(source, 'macTableManager', actual.macTableManager, why)]),
      ];
    case 'direct':
      return [
        ...(actual.dev === undefined ? [] : [setAttribute(source, 'dev', actual.dev, why)]),
        setAttribute(source, 'mode', actual.mode, why),
      ];
    case 'hostdev': {
      if (actual.address === undefined) return [];
      const address = { name: 'address', attributes: { type: 'pci', ...pciAddressAttributes(actual.address) } };
      return [{ at: source.span, text: writeXml({ name: 'source', children: [address] }), why }];
    }
    default:
      return [];
  }
}

/** The settings that came from the network or portgroup, in libvirt's order. */
function settingElements(iface: Interface, actual: Actual): NewElement[] {
  const { vlan, virtualport, bandwidth, isolated } = actual;
  const elements: NewElement[] = [];
  if (vlan !== undefined && iface.vlan === undefined) {
    const children = vlan.tags.map(tag => ({ name: 'tag', attributes: { ...tag } }));
    elements.push({ name: 'vlan', ...(vlan.trunk ? { attributes: { trunk: 'yes' } } : {}), children });
  }
  if (virtualport !== undefined && JSON.stringify(virtualport) !== JSON.stringify(iface.virtualport)) {
    const { type, parameters } = virtualport;
    const given = Object.keys(parameters).length > 0 ? [{ name: 'parameters', attributes: { ...parameters } }] : [];
    elements.push({ name: 'virtualport', attributes: { ...(type && { type }) }, children: given });
  }
  if (bandwidth !== undefined && iface.bandwidth === undefined) {
    const children = (['inbound', 'outbound'] as const)
      .filter(direction => bandwidth[direction] !== undefined)
      .map(direction => ({ name: direction, attributes: { ...bandwidth[direction] } }));
    elements.push({ name: 'bandwidth', children });
  }
  if (isolated !== undefined && iface.isolated === undefined) {
    elements.push({ name: 'port', attributes: { isolated: isolated ? 'yes' : 'no' } });
  }
  return elements;
}
