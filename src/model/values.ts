import { ActualnetError } from '../report/error.ts';
import type { XmlElement } from '../xml/document.ts';

/** Whose value is being read, as messages name it: `guest 'g1', interface 52:54:00:00:00:01`. */
export type Owner = string;

export type MacAddress = string & { readonly brand: 'MacAddress' };
export type Uuid = string & { readonly brand: 'Uuid' };
/** A guest's name: any text, but never a uuid. The length makes it a type that plain texts have, and others with a brand have not. */
export type GuestName = string & { readonly brand?: 'GuestName'; readonly length: number };

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
    throw new ActualnetError('XML_LIMIT', `more than ${maxListLength} ${what}`, { owner });
}

/** What is empty is not there: libvirt reads the attribute through an XPath, or looks at its first character. */
export function readText(element: XmlElement | undefined, attribute: string): string | undefined {
  return element?.attribute(attribute) || undefined;
}

/** One of `values`, or nothing; libvirt drops everything else without a word. */
export function readKnown<const V extends readonly string[]>(
  element: XmlElement | undefined,
  attribute: string,
  values: V,
): V[number] | undefined {
  const value = element?.attribute(attribute);
  return value !== undefined && values.includes(value) ? value : undefined;
}

/** `managed` of a host device: everything but `yes` is no. A network's `<forward managed>` goes by `isYes`. */
export function readManaged(element: XmlElement): boolean {
  return element.attribute('managed') === 'yes';
}

/** The attributes that libvirt compares without regard to case, and takes everything but `yes` for no. */
export function isYes(value: string | undefined): boolean {
  return value?.toLowerCase() === 'yes';
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

/** A whole number of ours in base 10; how libvirt reads its own is in `numbers`. */
export function readInteger(
  owner: Owner,
  element: XmlElement,
  attribute: string,
  range: { min: number; max: number },
): number | undefined {
  const text = element.attribute(attribute);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\s*\d+\s*$/.test(text) || value < range.min || value > range.max) {
    wrongValue(owner, element, { place: `@${attribute}`, expected: `a number from ${range.min} to ${range.max}` });
  }
  return value;
}

/**
 * A unicast MAC address in lower case with colons; the kernel and libvirt compare it as numbers. libvirt looks at nothing
 * behind a blank (virMacAddrParse).
 */
export function readMac(owner: Owner, element: XmlElement): MacAddress {
  const [text = ''] = (element.attribute('address') ?? '').split(/[ \t\n\v\f\r]/, 1);
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

/** Whether `text` is a MAC address in the spelling of `readMac`. */
export function isMac(text: string): text is MacAddress {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(text);
}

/**
 * A uuid in lower case with dashes, from any spelling libvirt reads (virUUIDParse): dashes and blanks may stand in front of
 * each byte, white space around the whole.
 */
export function parseUuid(text: string): Uuid | undefined {
  const trimmed = text.trim().toLowerCase();
  if (!/^(?:[- ]*[0-9a-f]{2}){16}$/.test(trimmed)) return undefined;
  const digits = trimmed.replace(/[- ]/g, '');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') as Uuid;
}

/** The uuid in an element's text; without a text there is none. */
export function readUuid(owner: Owner, element: XmlElement | undefined): Uuid | undefined {
  if (element === undefined || element.text === '') return undefined;
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
    throw new ActualnetError('XML_VALUE', `<${element.name}> in line ${element.line} has no <${name}>`, { owner });
  }
  return child;
}

/** `value` without the keys that are undefined, so that absent means absent. */
export function dropUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, content]) => content !== undefined)) as never;
}

/**
 * As in schemas/config.schema.json. The kernel takes nearly any name; here are only those that a batch file of `ip` reads as
 * one plain word, and no `%`, which would make the kernel choose a number.
 */
export function isLinkName(text: string): boolean {
  return /^(?!-)(?!\.\.?$)[A-Za-z0-9_.@+=,~^-]{1,15}$/.test(text);
}
