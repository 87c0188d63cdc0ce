import type { XmlElement } from '../xml/document.ts';
import { readNumber } from './numbers.ts';
import { type Owner, wrongValue } from './values.ts';

/** One direction. Rates are in kilobytes (1024) per second, `burst` in kilobytes. */
export interface Rate {
  readonly average?: number;
  readonly peak?: number;
  readonly burst?: number;
  readonly floor?: number;
}

export interface Bandwidth {
  readonly inbound?: Rate;
  readonly outbound?: Rate;
}

/**
 * The `<bandwidth>` child of `parent`; an element without a direction counts as absent, as in libvirt. A floor is for
 * what is connected to a network, inbound only.
 */
export function readBandwidth(
  owner: Owner,
  parent: XmlElement,
  rules: { allowsFloor: boolean },
): Bandwidth | undefined {
  const element = parent.child('bandwidth');
  if (element === undefined) return undefined;
  const inbound = readRate(owner, element.child('inbound'));
  const outbound = readRate(owner, element.child('outbound'));
  if (inbound === undefined && outbound === undefined) return undefined;
  for (const [name, rate] of [
    ['inbound', inbound],
    ['outbound', outbound],
  ] as const) {
    if (rate?.floor !== undefined && !(rules.allowsFloor && name === 'inbound')) {
      wrongValue(owner, element.child(name)!, {
        place: '@floor',
        expected: 'no floor: only inbound, on an interface of type network',
      });
    }
  }
  return { ...(inbound && { inbound }), ...(outbound && { outbound }) };
}

function readRate(owner: Owner, element: XmlElement | undefined): Rate | undefined {
  if (element === undefined) return undefined;
  const rate: { -readonly [K in keyof Rate]: Rate[K] } = {};
  for (const name of ['average', 'peak', 'burst', 'floor'] as const) {
    const value = readNumber(owner, element, name);
    if (value !== undefined) rate[name] = value;
  }
  if (rate.average === undefined && rate.floor === undefined) {
    wrongValue(owner, element, { place: '@average', expected: 'a number' });
  }
  return rate;
}
