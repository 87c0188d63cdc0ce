import type { XmlElement } from '../xml/document.ts';
import type { XmlEdit } from '../xml/edit.ts';
import { escapeAttribute } from '../xml/escape.ts';

/** Attributes and children of an element to be written. */
export interface NewElement {
  readonly name: string;
  readonly attributes?: Readonly<Record<string, string | number>>;
  readonly children?: readonly NewElement[];
}

/** Gives an attribute a value, adding it behind the others if it is not there. */
export function setAttribute(element: XmlElement, name: string, value: string, why: string): XmlEdit {
  const present = element.attributes.get(name);
  if (present !== undefined) return { at: present.valueSpan, text: escapeAttribute(value), why };
  const end = [...element.attributes.values()].at(-1)?.span.end ?? element.span.start + 1 + element.name.length;
  return { at: { start: end, end }, text: ` ${name}='${escapeAttribute(value)}'`, why };
}

/**
 * The order in which libvirt prints the children of a device. Its schema is not indifferent to it: of a host device, `driver`
 * has to stand by `source`.
 */
const printed: Readonly<Record<string, readonly string[]>> = {
  interface: [
    ...['mac', 'source', 'vlan', 'virtualport', 'bandwidth', 'port', 'ip', 'route', 'script', 'downscript'],
    ...['backenddomain', 'target', 'guest', 'model', 'driver', 'backend', 'filterref', 'tune', 'teaming', 'link'],
    ...['mtu', 'coalesce', 'boot', 'alias', 'rom', 'acpi', 'address'],
  ],
  hostdev: ['driver', 'source', 'teaming', 'readonly', 'shareable', 'boot', 'alias', 'rom', 'acpi', 'address'],
};

/** Adds children on lines of their own, where libvirt prints them; one of that name is replaced where it is. */
export function addChildren(parent: XmlElement, children: readonly NewElement[], why: string): XmlEdit[] {
  if (children.length === 0) return [];
  const first = parent.children[0];
  const indent = first !== undefined ? lineBefore(first) : `${lineBefore(parent)}  `;
  if (parent.isSelfClosing) {
    const slash = parent.source.lastIndexOf('/', parent.span.end - 1);
    const text = children.map(child => indent + writeXml(child)).join('');
    const body = `>${text}${lineBefore(parent)}</${parent.name}>`;
    return [{ at: { start: slash, end: parent.span.end }, text: body, why }];
  }
  return children.map(child => {
    const present = parent.child(child.name);
    if (present !== undefined) return { at: present.span, text: writeXml(child), why };
    const start = placeFor(parent, child.name);
    return { at: { start, end: start }, text: indent + writeXml(child), why };
  });
}

/** An interface that is a host device has its driver where a host device has it. */
function orderOf({ name, attributes }: XmlElement): readonly string[] {
  const order = printed[name] ?? [];
  if (name !== 'interface' || attributes.get('type')?.value !== 'hostdev') return order;
  return ['mac', 'driver', ...order.filter(each => each !== 'mac' && each !== 'driver')];
}

/** Behind the nearest child that libvirt prints before `name`, or in front of the nearest that it prints after it. */
function placeFor(parent: XmlElement, name: string): number {
  const order = orderOf(parent);
  const at = order.indexOf(name);
  const nearest = (names: readonly string[]) => names.flatMap(each => parent.childrenNamed(each).at(-1) ?? [])[0];
  // The driver of a host device, also of an interface that is one, is printed in front of its source.
  const next = name === 'driver' ? parent.child('source') : undefined;
  const before = next === undefined && at > 0 ? nearest(order.slice(0, at).reverse()) : undefined;
  if (before !== undefined) return before.span.end;
  const after = next ?? (at === -1 ? undefined : nearest(order.slice(at + 1)));
  if (after !== undefined) return lineStart(after);
  return parent.children.at(-1)?.span.end ?? parent.source.lastIndexOf('<', parent.span.end - 1);
}

/** Takes an attribute away, with the blank before it. */
export function removeAttribute(element: XmlElement, name: string, why: string): XmlEdit[] {
  const present = element.attributes.get(name);
  if (present === undefined) return [];
  const before = element.source.slice(element.span.start, present.span.start).trimEnd().length + element.span.start;
  return [{ at: { start: before, end: present.span.end }, text: '', why }];
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

/** An element as text, on one line, quoted as libvirt does it. Values are escaped, names are our own. */
export function writeXml({ name, attributes = {}, children = [] }: NewElement): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}='${escapeAttribute(`${value}`)}'`);
  const start = `<${name}${written.join('')}`;
  return children.length === 0 ? `${start}/>` : `${start}>${children.map(writeXml).join('')}</${name}>`;
}
