import { ActualnetError } from '../report/error.ts';
import type { XmlElement } from '../xml/document.ts';
import { type Owner, readText, wrongValue } from './values.ts';

/** Asks which libvirt reads the document, where versions differ: 11.3.0 is 11003000. Without it the oldest counts, 9.0.0. */
export type Reader = (() => number) | undefined;

/** C's strtoul with that base: 0 takes `0x10` and `010` (8), too, and 10 reads `010` as 10. */
type Base = 10 | 0;

interface NumberRule {
  readonly base: Base;
  readonly max: number;
  /** The base that an older libvirt reads it in, up to that version. */
  readonly until?: { readonly version: number; readonly base: Base };
  /** Read through an XPath: what is empty is not there. Elsewhere it is a mistake. */
  readonly emptyIsAbsent?: true;
}

const u32 = 0xffffffff;
const rate: NumberRule = { base: 10, max: Number.MAX_SAFE_INTEGER };
// 9.0.0 was seen to read these in base 0, and 12.8.0 in base 10.
const qbg = (max: number): NumberRule => ({ base: 10, max, until: { version: 9_000_000, base: 0 } });

/**
 * How libvirt reads each number, by element and attribute; found with `virsh define` on 9.0.0 and 12.8.0. A MAC's and a PCI
 * address's other spellings, such as sysfs's, are not of these.
 */
const numberRules: Readonly<Record<string, NumberRule>> = {
  'tag id': { base: 10, max: 4095 },
  'mtu size': { base: 10, max: u32, emptyIsAbsent: true },
  'driver queues': { base: 10, max: u32 },
  'acpi index': { base: 10, max: u32 },
  'inbound average': rate,
  'inbound peak': rate,
  'inbound burst': rate,
  'inbound floor': rate,
  'outbound average': rate,
  'outbound peak': rate,
  'outbound burst': rate,
  'outbound floor': rate,
  'bandwidth classID': { base: 10, max: u32 },
  'parameters managerid': qbg(0xff),
  'parameters typeid': qbg(0xffffff),
  'parameters typeidversion': qbg(0xff),
  'address domain': { base: 0, max: u32 },
  'address bus': { base: 0, max: 0xff },
  'address slot': { base: 0, max: 0x1f },
  'address function': { base: 0, max: 7 },
  'address cssid': { base: 0, max: 0xfe },
  'address ssid': { base: 0, max: 3 },
  'address devno': { base: 0, max: 0xffff },
};

/** A whole number in the spelling that libvirt takes for this attribute. */
export function readNumber(owner: Owner, element: XmlElement, attribute: string, reader?: Reader): number | undefined {
  const rule = numberRules[`${element.name} ${attribute}`];
  if (rule === undefined) throw new ActualnetError('BUG', `nobody has said how <${element.name} ${attribute}> is read`);
  const text = rule.emptyIsAbsent ? readText(element, attribute) : element.attribute(attribute);
  if (text === undefined) return undefined;
  const { until } = rule;
  const isOlder = until !== undefined && (reader === undefined || reader() <= until.version);
  const base = isOlder ? until.base : rule.base;
  const value = parseNumber(text, base);
  if (value === undefined || value > rule.max) {
    wrongValue(owner, element, { place: `@${attribute}`, expected: `a number from 0 to ${rule.max}` });
  }
  return value;
}

/** Blanks and a plus in front are C's to skip; what follows the digits makes libvirt refuse the value. */
function parseNumber(text: string, base: Base): number | undefined {
  const digits = /^[ \t\n\v\f\r]*\+?([0-9a-fA-Fx]+)$/i.exec(text)?.[1] ?? '';
  if (base === 10) return /^\d+$/.test(digits) ? Number(digits) : undefined;
  if (/^0x[0-9a-f]+$/i.test(digits)) return Number.parseInt(digits, 16);
  if (/^0[0-7]*$/.test(digits)) return Number.parseInt(digits, 8);
  return /^[1-9]\d*$/.test(digits) ? Number(digits) : undefined;
}
