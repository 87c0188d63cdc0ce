import { create } from 'xmlbuilder2';
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

/** Adds children on lines of their own, before the alias and guest address as libvirt does; one of that name is replaced. */
export function addChildren(parent: XmlElement, children: readonly NewElement[], why: string): XmlEdit[] {
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

/** Takes an attribute away, with the blank before it. */
export function removeAttribute(element: XmlElement, name: string, why: string): XmlEdit[] {
  const present = element.attributes.get(name);
  if (present === undefined) return [];
  const before = element.source.slice(element.span.start, present.span.start).trimEnd().length + element.span.start;
  return [{ at: { start: before, end: present.span.end }, text: '', why }];
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

/** An element as text, on one line. */
export function writeXml(element: NewElement): string {
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
