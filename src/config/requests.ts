import type { Domain } from '../model/domain.ts';
import { directModes, isKeptByLibvirt, isUserAlias } from '../model/interface.ts';
import {
  dropUndefined,
  isLinkName,
  type MacAddress,
  type Owner,
  readInteger,
  readOneOf,
  readYesNo,
  wrongValue,
} from '../model/values.ts';
import { asActualnetError } from '../report/error.ts';
import type { XmlElement } from '../xml/document.ts';
import { maxOwnMetadata } from '../xml/foreign.ts';
import { boundOf, findPolicy } from './guest-policy.ts';
import { matchesPattern } from './match.ts';
import { findNearest } from './nearest.ts';
import { Refusals } from './refusals.ts';
import {
  type Config,
  type GuestChoice,
  type GuestPolicy,
  guestPlaces,
  type InterfaceSettings,
  interfaceSettings,
  linkStates,
  type RewriteRule,
  vlanProtocols,
} from './types.ts';

const requestNamespace = 'urn:actualnet:guest:1';

/** What a guest asks for one of its interfaces, as far as the configuration lets it. */
export interface GuestRequest {
  readonly mac?: MacAddress;
  readonly tap?: string;
  readonly settings: InterfaceSettings;
  /** Where it is to be connected on a host that the guest comes to. */
  readonly place?: GuestPlace;
  /** The settings that it may make weaker than configured. */
  readonly loosen?: GuestPolicy['loosen'];
}

export type GuestPlace = Pick<RewriteRule, (typeof guestPlaces)[number] | 'bridge'>;

export interface GuestRequests {
  readonly requests: readonly GuestRequest[];
  /** A line for each request that is not granted, or not understood; of very many the first, and how many more there are. */
  readonly refusals: readonly string[];
}

/**
 * The requests in a guest's `<metadata>`:
 *
 *     <interfaces xmlns='urn:actualnet:guest:1'><interface mac='52:54:00:57:00:01' vlan='10,20'/></interfaces>
 *
 * What is not allowed is not even read. Nothing is thrown: whatever a guest asks for, what it did not ask for goes on counting.
 */
export function readRequests(
  domain: Pick<Domain, 'element' | 'owner' | 'name' | 'uuid'>,
  guests: Config['guests'],
): GuestRequests {
  const policy = findPolicy(guests, domain);
  const lists = domain.element
    .childrenNamed('metadata')
    .flatMap(metadata => metadata.children)
    .filter(child => child.localName === 'interfaces' && child.namespace === requestNamespace);
  const elements = lists
    .flatMap(child => child.children)
    .filter(child => child.localName === 'interface' && child.namespace === requestNamespace);
  const requests = new Map<string, GuestRequest>();
  const refusals = new Refusals();
  const unread = lists.reduce((sum, list) => sum + list.foreignCount, 0);
  for (const [index, element] of elements.entries()) {
    if (refusals.areEnough) {
      refusals.add(() => '');
      continue;
    }
    const name = element.attribute('mac') ?? element.attribute('tap') ?? index;
    const owner = `${domain.owner}, interface ${name} in <metadata>`;
    const request = attempt(refusals, () => readRequest(owner, element, { policy, refusals }));
    if (request === undefined) continue;
    const key = request.mac ?? `tap ${request.tap}`;
    if (!requests.has(key)) requests.set(key, request);
    else refusals.add(() => `${owner}: it is there twice, the second time in line ${element.line}`);
  }
  if (unread > 0)
    refusals.add(() => `${domain.owner}, <metadata>: ${unread} elements in <interfaces> are not read (${whatIsRead})`);
  return { requests: [...requests.values()], refusals: refusals.lines() };
}

const whatIsRead = `only <interface> is, without anything inside, and at most ${maxOwnMetadata} of them`;

interface Which {
  readonly mac?: string | undefined;
  readonly tap?: string | undefined;
}

/** The settings wished for an interface: by its MAC address, else by the name of its tap. */
export function findRequest(requests: readonly GuestRequest[], which: Which): InterfaceSettings | undefined {
  return findWhole(requests, which)?.settings;
}

/** Where an interface is to be connected on a host that its guest comes to. */
export function findPlace(requests: readonly GuestRequest[], which: Which): GuestPlace {
  return findWhole(requests, which)?.place ?? {};
}

/** The whole request for an interface. */
export function findWhole(requests: readonly GuestRequest[], { mac, tap }: Which): GuestRequest | undefined {
  const wanted = mac?.toLowerCase();
  const byMac = wanted === undefined ? undefined : requests.find(request => request.mac === wanted);
  return (
    byMac ??
    (tap === undefined ? undefined : requests.find(request => request.mac === undefined && request.tap === tap))
  );
}

interface Context {
  readonly policy: GuestPolicy;
  readonly refusals: Refusals;
}

function readRequest(owner: Owner, element: XmlElement, { policy, refusals }: Context): GuestRequest {
  const which = readWhich(owner, element);
  const granted: Record<string, unknown> = {};
  for (const name of element.attributes.keys()) {
    if (name === 'mac' || name === 'tap' || name === 'xmlns' || name.includes(':')) continue;
    if (!isSetting(name)) refusals.add(() => `${owner}: ${unknownAttribute(name)}`);
    else if (!policy.allow.includes(name))
      refusals.add(() => `${owner}: the configuration does not let guests choose '${name}'`);
    else granted[name] = attempt(refusals, () => readBounded(owner, element, { name, policy }));
  }
  const isPlace = ([name]: [string, unknown]) => (guestPlaces as readonly string[]).includes(name);
  const entries = Object.entries(dropUndefined(granted));
  const place = Object.fromEntries(entries.filter(isPlace)) as GuestPlace;
  const settings = Object.fromEntries(entries.filter(entry => !isPlace(entry))) as InterfaceSettings;
  const { loosen } = policy;
  return { ...which, settings, ...(Object.keys(place).length > 0 && { place }), ...(loosen && { loosen }) };
}

function readBounded(owner: Owner, element: XmlElement, asked: { name: GuestChoice; policy: GuestPolicy }): unknown {
  const value = readSetting(owner, element, asked);
  const expected = boundOf(asked.policy, asked.name, value);
  return expected === undefined ? value : wrongValue(owner, element, { place: `@${asked.name}`, expected });
}

/** By MAC address or by tap, not both: two answers to one question could differ. */
function readWhich(owner: Owner, element: XmlElement): { mac: MacAddress } | { tap: string } {
  const tap = element.attribute('tap');
  const text = element.attribute('mac');
  if (text === undefined && tap !== undefined) {
    if (!isLinkName(tap)) wrongValue(owner, element, { place: '@tap', expected: 'a link name' });
    return { tap };
  }
  if (text === undefined || !/^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}$/.test(text)) {
    wrongValue(owner, element, { place: '@mac', expected: 'a MAC address such as 52:54:00:12:34:56' });
  }
  if (tap !== undefined) wrongValue(owner, element, { place: '@tap', expected: 'none beside @mac' });
  const octets = text.toLowerCase().split(':');
  return { mac: octets.map(octet => octet.padStart(2, '0')).join(':') as MacAddress };
}

function readSetting(
  owner: Owner,
  element: XmlElement,
  { name, policy }: { name: GuestChoice; policy: GuestPolicy },
): unknown {
  switch (name) {
    case 'bridge':
      return readChoice(owner, element, { name, among: policy.bridges, isName: isLinkName });
    case 'network':
      return readChoice(owner, element, { name, among: policy.networks });
    case 'dev':
      return readChoice(owner, element, { name, among: policy.devices, isName: isLinkName });
    case 'vfs':
      return readChoice(owner, element, { name, among: policy.devices, isName: isLinkName }).split(',');
    case 'mode':
      return readOneOf(owner, element, name, directModes);
    case 'target': {
      const target = element.attribute('target')!;
      if (!isLinkName(target)) wrongValue(owner, element, { place: '@target', expected: 'a link name' });
      if (isKeptByLibvirt(target)) wrongValue(owner, element, { place: '@target', expected: "none of libvirt's own" });
      return target;
    }
    case 'alias': {
      const alias = element.attribute('alias')!;
      if (!isUserAlias(alias)) wrongValue(owner, element, { place: '@alias', expected: "an alias of yours, 'ua-...'" });
      return alias;
    }
    case 'portgroup': {
      const portgroup = element.attribute('portgroup')!;
      if (portgroup === '') wrongValue(owner, element, { place: '@portgroup', expected: "a portgroup's name" });
      return portgroup;
    }
    case 'vlan':
      return readVlanList(owner, element);
    case 'announce':
      return readAddresses(owner, element);
    case 'mtu':
      return readInteger(owner, element, 'mtu', { min: 68, max: 65535 });
    case 'maxTxRate':
    case 'minTxRate':
      return readInteger(owner, element, name, { min: 0, max: 1_000_000 });
    case 'vlanQos':
      return readInteger(owner, element, name, { min: 0, max: 7 });
    case 'linkState':
      return readOneOf(owner, element, name, linkStates);
    case 'vlanProto':
      return readOneOf(owner, element, name, vlanProtocols);
    case 'isolated':
    case 'keepForwardingTable':
    case 'trust':
    case 'spoofchk':
    case 'queryRss':
      return readYesNo(owner, element, name);
  }
}

/** A name that the configuration lets guests choose; several, apart by commas, only where that is what is asked for. */
function readChoice(
  owner: Owner,
  element: XmlElement,
  {
    name,
    among,
    isName = () => true,
  }: { name: GuestChoice; among: readonly string[]; isName?: (text: string) => boolean },
): string {
  const text = element.attribute(name)!;
  const place = `@${name}`;
  for (const choice of name === 'vfs' ? text.split(',') : [text]) {
    if (!isName(choice)) wrongValue(owner, element, { place, expected: 'a link name' });
    if (among.some(pattern => matchesPattern(pattern, choice))) continue;
    const expected = among.length === 0 ? 'none: guests may choose none' : `one of ${among.join(', ')}`;
    wrongValue(owner, element, { place, expected });
  }
  return text;
}

/** `10` or `10,20`. */
function readVlanList(owner: Owner, element: XmlElement): number[] {
  const words = element.attribute('vlan')!.split(',');
  const ids = words.map(word => (/^ *[1-9][0-9]{0,3} *$/.test(word) ? Number(word) : 0));
  if (ids.some(id => id < 1 || id > 4094) || new Set(ids).size < ids.length) {
    wrongValue(owner, element, { place: '@vlan', expected: 'different numbers from 1 to 4094, apart by commas' });
  }
  return ids;
}

/** `192.0.2.1` or `192.0.2.1,192.0.2.2`. */
function readAddresses(owner: Owner, element: XmlElement): string[] {
  const addresses = element
    .attribute('announce')!
    .split(',')
    .map(word => word.trim());
  const isAddress = (text: string) =>
    /^(\d{1,3}\.){3}\d{1,3}$/.test(text) && text.split('.').every(part => Number(part) < 256);
  if (!addresses.every(isAddress))
    wrongValue(owner, element, { place: '@announce', expected: 'IPv4 addresses, apart by commas' });
  return addresses;
}

function isSetting(name: string): name is GuestChoice {
  return ([...interfaceSettings, ...guestPlaces] as readonly string[]).includes(name);
}

function unknownAttribute(name: string): string {
  const known = ['mac', 'tap', ...interfaceSettings, ...guestPlaces];
  const nearest = findNearest(name, known);
  return `unknown attribute '${name}' (${nearest === undefined ? `known: ${known.join(', ')}` : `did you mean '${nearest}'?`})`;
}

/** What `read` gives; a value it does not accept is refused by its message. */
function attempt<T>(refusals: Refusals, read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    const error = asActualnetError(cause);
    if (error.code !== 'XML_VALUE') throw cause;
    refusals.add(() => error.message);
    return undefined;
  }
}
