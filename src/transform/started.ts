import { create } from 'xmlbuilder2';
import type { Domain } from '../model/domain.ts';
import type { Interface } from '../model/interface.ts';
import { pciAddressAttributes } from '../model/pci-address.ts';
import { type Actual, defaultDriver } from '../resolve/actual.ts';
import type { XmlElement } from '../xml/document.ts';
import type { XmlEdit } from '../xml/edit.ts';
import { escapeAttribute } from '../xml/escape.ts';
import type { GuestView } from './guest-view.ts';

/** Attributes and children of an element to be written. */
interface NewElement {
  readonly name: string;
  readonly attributes?: Readonly<Record<string, string | number>>;
  readonly children?: readonly NewElement[];
}

/**
 * The edits that make a definition look as libvirt shows it once the guest has started: actual types in place, merged
 * settings, generated aliases. What only a real start can tell (port uuids, tap names, generated ids) is left out.
 */
export function editsToStarted(domain: Domain, view: GuestView): XmlEdit[] {
  const plainHostdevs = view.hostdevs.filter(entry => entry.interface === null);
  return [
    ...domain.interfaces.flatMap(iface => editInterface(iface, view.interfaces[iface.index]!)),
    ...domain.hostdevs.flatMap(({ element, alias, type, driver }, index) => {
      const added = alias === undefined ? [aliasElement(plainHostdevs[index]!.alias)] : [];
      if (type === 'pci' && driver === undefined) added.unshift(driverElement(defaultDriver));
      return addChildren(element, added, 'host device');
    }),
  ];
}

function editInterface(iface: Interface, view: GuestView['interfaces'][number]): XmlEdit[] {
  const alias = iface.alias === undefined ? [aliasElement(view.alias)] : [];
  const { actual } = view;
  const isRecorded = iface.actual !== undefined || iface.source.bridge !== undefined;
  if (iface.type !== 'network' || actual === null || isRecorded) {
    const usesDefault = iface.hostDevice?.type === 'pci' && iface.hostDevice.driver === undefined;
    return addChildren(iface.element, usesDefault ? [driverElement(defaultDriver), ...alias] : alias, 'alias');
  }
  const why = `actual type of ${iface.owner}`;
  const added = settingElements(iface, actual);
  const edits = [
    setAttribute(iface.element, 'type', actual.type, why),
    ...connectSource(iface.element.child('source')!, actual, why),
  ];
  if (actual.type === 'hostdev') {
    edits.push(setAttribute(iface.element, 'managed', actual.managed ? 'yes' : 'no', why));
    added.unshift(driverElement(actual.driver ?? defaultDriver));
  }
  return [...edits, ...addChildren(iface.element, [...added, ...alias], why)];
}

function aliasElement(name: string): NewElement {
  return { name: 'alias', attributes: { name } };
}

function driverElement(name: string): NewElement {
  return { name: 'driver', attributes: { name } };
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

function setAttribute(element: XmlElement, name: string, value: string, why: string): XmlEdit {
  const present = element.attributes.get(name);
  if (present !== undefined) return { at: present.valueSpan, text: escapeAttribute(value), why };
  const end = [...element.attributes.values()].at(-1)?.span.end ?? element.span.start + 1 + element.name.length;
  return { at: { start: end, end }, text: ` ${name}='${escapeAttribute(value)}'`, why };
}

/** Adds children on lines of their own, before the alias and guest address as libvirt does; one of that name is replaced. */
function addChildren(parent: XmlElement, children: readonly NewElement[], why: string): XmlEdit[] {
  if (children.length === 0) return [];
  const replaced = children.flatMap(({ name }) => parent.child(name) ?? []);
  const removals = replaced.map(child => ({ at: { start: lineStart(child), end: child.span.end }, text: '', why }));
  const next = parent.children.find(child => child.name === 'alias' || child.name === 'address');
  const first = parent.children[0];
  const closing = parent.source.lastIndexOf('<', parent.span.end - 1);
  const indent = first !== undefined ? lineBefore(first) : `${lineBefore(parent)}  `;
  const text = children.map(child => indent + writeXml(child)).join('');
  if (parent.isSelfClosing) {
    const slash = parent.source.lastIndexOf('/', parent.span.end - 1);
    const body = `>${text}${lineBefore(parent)}</${parent.name}>`;
    return [{ at: { start: slash, end: parent.span.end }, text: body, why }];
  }
  const start = next !== undefined ? lineStart(next) : afterLastChild(parent, closing);
  return [{ at: { start, end: start }, text, why }, ...removals];
}

function afterLastChild(parent: XmlElement, closing: number): number {
  const last = parent.children[parent.children.length - 1];
  return last?.span.end ?? closing;
}

/** The line break and indentation an element stands behind; empty if it follows something on its line. */
function lineBefore(element: XmlElement): string {
  return (
    /(?:\r\n|\n)[ \t]*$/.exec(element.source.slice(Math.max(0, element.span.start - 200), element.span.start))?.[0] ??
    ''
  );
}

function lineStart(element: XmlElement): number {
  return element.span.start - lineBefore(element).length;
}

function writeXml(element: NewElement): string {
  const document = create();
  const write = (parent: ReturnType<typeof create>, { name, attributes = {}, children = [] }: NewElement): void => {
    const node = parent.ele(
      name,
      Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, `${value}`])),
    );
    for (const child of children) write(node, child);
  };
  write(document, element);
  // Line ends and tabs can only be in values here; written as they are, a reader would take them for blanks.
  return document.end({ headless: true }).replace(/[\t\n\r]/g, character => `&#${character.charCodeAt(0)};`);
}
