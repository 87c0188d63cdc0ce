import type { DirectMode } from '../model/interface.ts';
import { matchesPattern } from './match.ts';
import type { Config, GuestChoice, GuestPolicy, InterfaceSettings } from './types.ts';

/** What may be written; an empty list is null. */
export type WrittenPolicy = { readonly [K in keyof GuestPolicy]?: GuestPolicy[K] | null };

/** A policy as it is written, with its defaults. */
export function readPolicy({
  allow,
  bridges,
  networks,
  devices,
  rules: _,
  ...bounds
}: WrittenPolicy & { rules?: unknown }): GuestPolicy {
  return {
    allow: [...new Set(allow)],
    bridges: [...new Set(bridges)],
    networks: [...new Set(networks)],
    devices: [...new Set(devices)],
    ...(Object.fromEntries(Object.entries(bounds).filter(([, bound]) => bound !== null)) as Partial<GuestPolicy>),
  };
}

/** What holds for one guest: the first rule that fits it, else what is said of all. */
export function findPolicy(
  guests: Config['guests'],
  guest: { readonly name: string; readonly uuid?: string },
): GuestPolicy {
  const fitting = guests.rules?.find(({ match }) => {
    const isNamed = match.guest === undefined || matchesPattern(match.guest, guest.name);
    const isMeant =
      match.uuid === undefined || (guest.uuid !== undefined && matchesPattern(match.uuid.toLowerCase(), guest.uuid));
    return isNamed && isMeant;
  });
  return fitting ?? guests;
}

/** Everything that some guest may choose. */
export function listChoices(guests: Config['guests']): ReadonlySet<GuestChoice> {
  return new Set([guests, ...(guests.rules ?? [])].flatMap(({ allow }) => allow));
}

/** The modes of a macvtap that leave the device below it to others as well. */
const sharingModes: readonly DirectMode[] = ['vepa', 'private', 'bridge'];

/** What a guest would have to choose instead of `value`, in words for a message; undefined if it may choose that. */
export function boundOf(policy: GuestPolicy, name: GuestChoice, value: unknown): string | undefined {
  switch (name) {
    case 'vlan':
      return among(policy.vlans, value as number[], isInRange);
    case 'announce':
      return among(policy.addresses, value as string[], isInNetwork);
    case 'portgroup':
      return among(policy.portgroups, [value as string], matchesPattern);
    case 'target':
      return among(policy.targets, [value as string], matchesPattern);
    case 'alias':
      return among(policy.aliases, [value as string], matchesPattern);
    case 'mode':
      return among(policy.modes ?? sharingModes, [value as string], (mode, chosen) => mode === chosen);
    case 'mtu':
    case 'maxTxRate':
    case 'minTxRate':
    case 'vlanQos': {
      const most = policy.most?.[name];
      const isAbove = most !== undefined && ((value as number) > most || (name === 'maxTxRate' && value === 0));
      return isAbove ? `${name === 'maxTxRate' ? 'a limit of' : ''} at most ${most}`.trim() : undefined;
    }
    default:
      return undefined;
  }
}

function among<B, V>(bound: readonly B[] | undefined, values: readonly V[], fits: (each: B, value: V) => boolean) {
  if (bound === undefined || values.every(value => bound.some(each => fits(each, value)))) return undefined;
  return bound.length === 0 ? 'none: guests may choose none' : `one of ${bound.join(', ')}`;
}

function isInRange(range: number | string, id: number): boolean {
  const [first, last = first] = `${range}`.split('-').map(Number);
  return id >= first! && id <= last!;
}

function isInNetwork(network: string, address: string): boolean {
  const [base = '', length = '32'] = network.split('/');
  // Without a bit of prefix everything is inside; the shift operators count modulo 32.
  const mask = length === '0' ? 0 : -1 << (32 - Number(length));
  return (numberOf(base) & mask) === (numberOf(address) & mask);
}

function numberOf(address: string): number {
  return address.split('.').reduce((number, part) => (number << 8) | Number(part), 0);
}

/** What is configured for an interface, with what its guest may not change of it. */
export interface Configured {
  readonly settings: InterfaceSettings;
  /** What a final rule sets. */
  readonly final: InterfaceSettings;
}

/** The wished settings that do not count, each with the reason: no request overrides a final rule, or weakens what keeps others safe. */
export function overruledSettings(
  { settings, final }: Configured,
  request: { readonly settings: InterfaceSettings; readonly loosen?: GuestPolicy['loosen'] },
): Map<string, string> {
  const refused = new Map<string, string>();
  for (const [name, value] of Object.entries(request.settings) as [keyof InterfaceSettings, unknown][]) {
    const before = name in final ? final[name] : settings[name];
    if (`${before}` === `${value}`) continue;
    if (name in final) refused.set(name, 'a final rule of the configuration sets it');
    // Cards check unless they are told not to.
    const weakens = value === false && (name === 'isolated' ? before === true : name === 'spoofchk');
    const mayWeaken = request.loosen?.some(each => each === name) ?? false;
    if (weakens && !mayWeaken) refused.set(name, 'the configuration lets guests make it stricter only');
  }
  return refused;
}
