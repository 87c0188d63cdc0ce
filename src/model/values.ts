import { ActualnetError } from '../report/error.ts';
import type { XmlElement } from '../xml/document.ts';

/** Whose value is being read, as messages name it: `guest 'g1', interface 52:54:00:00:00:01`. */
export type Owner = string;

export type MacAddress = string & { readonly brand: 'MacAddress' };
export type Uuid = string & { readonly brand: 'Uuid' };

/** Ends with the one line for a value that cannot be used: whose, where, what it is, what was expected. */
export function wrongValue(owner: Owner, element: XmlElement, wrong: { place?: string; expected: string }): never {
  const place = wrong.place ?? '';
  const value = place.startsWith('@') ? element.attribute(place.slice(1)) : element.text.trim();
  const path = `<${element.name}>${place === '' ? '' : ` ${place}`}`;
  const found = value === undefined ? 'nothing' : `'${value}'`;
  throw new ActualnetError(
    'XML_VALUE',
    `${owner}: ${path} in line ${element.line} is ${found}, expected ${wrong.expected}`,
  );
}

export function readRequired(owner: Owner, element: XmlElement, attribute: string): string {
  const value = element.attribute(attribute);
  if (value === undefined || value === '') wrongValue(owner, element, { place: `@${attribute}`, expected: 'a value' });
  return value;
}

/** Longer than any name libvirt can keep in a file. */
const maxNameLength = 1024;

/** More devices, pool entries or portgroups than any host has; bounds the time a document can take. */
const maxListLength = 4096;

export function checkListLength(owner: Owner, what: string, list: readonly unknown[]): void {
  if (list.length > maxListLength)
    throw new ActualnetError('XML_LIMIT', `${owner}: more than ${maxListLength} ${what}`);
}

export function readYesNo(owner: Owner, element: XmlElement | undefined, attribute: string): boolean | undefined {
  const value = element === undefined ? undefined : readOneOf(owner, element, attribute, ['yes', 'no'] as const);
  return value === undefined ? undefined : value === 'yes';
}

/** Absent is absent; anything outside `values` is an error. */
export function readOneOf<const V extends readonly string[]>(
  owner: Owner,
  element: XmlElement,
  attribute: string,
  values: V,
): V[number] | undefined {
  const value = element.attribute(attribute);
  if (value === undefined) return undefined;
  if (!values.includes(value))
    wrongValue(owner, element, { place: `@${attribute}`, expected: `one of ${values.join(', ')}` });
  return value;
}

/** A whole number in any spelling C's strtoul takes with base 0: `16`, `0x10`, `020`. */
export function readInteger(
  owner: Owner,
  element: XmlElement,
  attribute: string,
  range: { min: number; max: number },
): number | undefined {
  const text = element.attribute(attribute);
  if (text === undefined) return undefined;
  const value = parseInteger(text);
  if (value === undefined || value < range.min || value > range.max) {
    wrongValue(owner, element, { place: `@${attribute}`, expected: `a number from ${range.min} to ${range.max}` });
  }
  return value;
}

function parseInteger(text: string): number | undefined {
  const digits = text.trim();
  if (/^0[xX][0-9a-fA-F]+$/.test(digits)) return Number.parseInt(digits, 16);
  if (/^0[0-7]*$/.test(digits)) return Number.parseInt(digits, 8);
  return /^[1-9]\d*$/.test(digits) ? Number(digits) : undefined;
}

/** A unicast MAC address in lower case with colons; the kernel and libvirt compare it as numbers. */
export function readMac(owner: Owner, element: XmlElement): MacAddress {
  const text = readRequired(owner, element, 'address');
  if (!/^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}$/.test(text)) {
    wrongValue(owner, element, { place: '@address', expected: 'a MAC address such as 52:54:00:12:34:56' });
  }
  const octets = text
    .toLowerCase()
    .split(':')
    .map(octet => octet.padStart(2, '0'));
  if (Number.parseInt(octets[0]!, 16) % 2 === 1) {
    wrongValue(owner, element, { place: '@address', expected: 'a unicast MAC address' });
  }
  return octets.join(':') as MacAddress;
}

/** A uuid in lower case with dashes, from any spelling libvirt reads (dashes are optional there). */
export function parseUuid(text: string): Uuid | undefined {
  const digits = text.trim().toLowerCase().replaceAll('-', '');
  if (!/^[0-9a-f]{32}$/.test(digits)) return undefined;
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') as Uuid;
}

export function readUuid(owner: Owner, element: XmlElement | undefined): Uuid | undefined {
  if (element === undefined) return undefined;
  return parseUuid(element.text) ?? wrongValue(owner, element, { expected: 'a uuid' });
}

/** The text of `<name>`. It may hold any character, so it is never used as a path (see `host/state-files`). */
export function readName(owner: Owner, parent: XmlElement): string {
  const element = requireChild(owner, parent, 'name');
  const name = element.text;
  if (name.trim() === '') wrongValue(owner, element, { expected: 'a name' });
  if (name.length > maxNameLength) {
    throw new ActualnetError(
      'XML_LIMIT',
      `${owner}: a name of more than ${maxNameLength} characters in line ${element.line}`,
    );
  }
  return name;
}

/** The child of that name; its absence is an error. */
export function requireChild(owner: Owner, element: XmlElement, name: string): XmlElement {
  const child = element.child(name);
  if (child === undefined) {
    throw new ActualnetError('XML_VALUE', `${owner}: <${element.name}> in line ${element.line} has no <${name}>`);
  }
  return child;
}

/** `value` without the keys that are undefined, so that absent means absent. */
export function dropUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, content]) => content !== undefined)) as never;
}
