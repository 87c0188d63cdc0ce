import { listChoices } from '../config/guest-policy.ts';
import { fits } from '../config/match.ts';
import { findPlace, findRequest, type GuestPlace, type GuestRequest, readRequests } from '../config/requests.ts';
import { type Config, guestPlaces, type RewriteRule } from '../config/types.ts';
import { commandLineHostdevs } from '../model/command-line.ts';
import { type Domain, type Hostdev, readDomain } from '../model/domain.ts';
import type { Interface } from '../model/interface.ts';
import { type PciAddress, pciAddressAttributes } from '../model/pci-address.ts';
import { dropUndefined } from '../model/values.ts';
import { ActualnetError, type ErrorCode } from '../report/error.ts';
import { type NetworkLookup, resolveGuest } from '../resolve/guest.ts';
import type { LibvirtVersion } from '../resolve/version.ts';
import type { XmlDocument, XmlElement } from '../xml/document.ts';
import { applyEdits } from '../xml/edit.ts';
import { findAbiBreaks } from './abi.ts';
import { setAttribute } from './elements.ts';
import { type Asked, connect, nothing, type Refuse, type Rewritten } from './rewrite-connection.ts';
import { rename, retarget } from './rewrite-names.ts';

/** What a host has for a guest that comes to it. */
export interface RewriteContext {
  readonly rules: readonly RewriteRule[];
  /** What guests may choose in their metadata. */
  readonly guests: Config['guests'];
  /** It is about to start here, with the networks as they are. */
  readonly arrives: boolean;
  readonly findNetwork: NetworkLookup;
  readonly version: () => LibvirtVersion;
  /** The PF of a VF of this host; null for another device of this host, undefined for none. */
  readonly pfOf: (address: PciAddress) => string | null | undefined;
  /** The VFs of the named PFs that nobody has, the best instead of `like` first; `like` itself if it is one of them. */
  readonly freeVfs: (pfs: readonly string[], like: PciAddress | undefined) => readonly PciAddress[];
}

/** A document for this host, a line for each thing that changed, and the VFs that were picked. */
export interface Rewrite {
  readonly document: XmlDocument;
  readonly changes: readonly string[];
  readonly picks: readonly PciAddress[];
  /** A line for each thing that the guest asks for against a final rule. */
  readonly refused: readonly string[];
}

/**
 * What the first rule that fits asks for, for each interface and PCI host device. Only the host side is touched, and of it
 * only what a rule names, so a document that is as it should be needs no edit. Throws `ABI_BREAK` for what libvirt would
 * refuse, or take and then fail on, and `POOL_EXHAUSTED` without a free VF.
 */
export function rewriteGuest(document: XmlDocument, context: RewriteContext): Rewrite {
  const choices = listChoices(context.guests);
  const mayChoose = [...guestPlaces, 'bridge' as const].some(place => choices.has(place));
  if (context.rules.length === 0 && !mayChoose) return { document, changes: [], picks: [], refused: [] };
  const domain = readDomain(document, context.version);
  const { requests } = readRequests(domain, context.guests);
  const ruling = { domain, requests, ...context };
  const picks = new Set<PciAddress>();
  const own = { ...ruling, picks, kept: keptAddresses(ruling) };
  const results = [
    ...domain.interfaces.map(iface => rewriteInterface(iface, own)),
    ...domain.hostdevs.map((hostdev, index) => rewriteHostdev(hostdev, index, own)),
  ];
  const rewritten = applyEdits(
    document,
    results.flatMap(({ edits }) => edits),
  );
  if (rewritten !== document) {
    const after = readDomain(rewritten, context.version);
    const [broken] = [...findAbiBreaks(domain, after, context.findNetwork), ...findTwice(after)];
    if (broken !== undefined)
      throw new ActualnetError('ABI_BREAK', `after 'rewrite': ${broken}`, { owner: domain.owner });
    requireSupported(after, ruling);
  }
  return {
    document: rewritten,
    changes: results.flatMap(({ changes }) => changes),
    picks: [...picks],
    refused: domain.interfaces.flatMap(iface => refusedPlaces(iface, ruling)),
  };
}

/** What no state of the host can mend. */
const unsupported: readonly ErrorCode[] = [
  'ACTUAL_UNSUPPORTED',
  'FLOOR_UNSUPPORTED',
  'NO_FORWARD_DEVICE',
  'VIRTUALPORT_CONFLICT',
  'VIRTUALPORT_INCOMPLETE',
  'VIRTUALPORT_MODE',
];

/** Where an interface is connected now may not take the settings that it had before, or nobody at all. */
function requireSupported(after: Domain, context: Ruling): void {
  const refused = context.arrives ? [...unsupported, 'NETWORK_INACTIVE'] : unsupported;
  const connectionOf = ({ type, element }: Interface) => `${type} ${element.child('source')?.outerXml}`;
  for (const { iface, error } of resolveGuest(after, context)) {
    const before = context.domain.interfaces[iface.index]!;
    if (error === undefined || !refused.includes(error.code) || connectionOf(iface) === connectionOf(before)) continue;
    const { source } = ruleOf(before, context)!;
    throw new ActualnetError('ABI_BREAK', `${source} cannot be followed: ${error.what}`, {
      owner: iface.owner,
      hint: error.hint,
    });
  }
}

/** Names and devices that one rule has given to two. */
function findTwice({ interfaces, hostdevs, commandLine }: Domain): string[] {
  const names = [
    ...interfaces.flatMap(({ target }) => (target.dev === undefined ? [] : `target '${target.dev}'`)),
    ...commandLine.netdevs.flatMap(({ options }) => {
      const tap = options.get('ifname');
      return tap === undefined ? [] : `target '${tap}'`;
    }),
    ...[...interfaces, ...hostdevs].flatMap(({ alias }) => (alias === undefined ? [] : `alias '${alias}'`)),
  ];
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  const macvtaps = interfaces.flatMap(({ type, source }) => (type === 'direct' ? source : []));
  const shared = macvtaps.filter(
    ({ dev, mode }) => mode === 'passthrough' && macvtaps.filter(other => other.dev === dev).length > 1,
  );
  return [
    ...twice.map(name => `two devices have the ${name}`),
    ...shared.map(({ dev }) => `two macvtaps are on '${dev}', which is passed through to one of them`),
  ];
}

type Ruling = RewriteContext & { readonly domain: Domain; readonly requests: readonly GuestRequest[] };
type Context = Ruling & {
  /** What the guest has been given so far. */
  readonly picks: Set<PciAddress>;
  readonly kept: ReadonlySet<PciAddress>;
};
/** A rule, and where it comes from. */
type Ruled = { readonly rule: RewriteRule; readonly source: string };

/** The first rule that fits. */
function writtenRuleOf(iface: Interface, context: Ruling): Ruled | undefined {
  const { source, target, hostDevice } = iface;
  const address = hostDevice?.address;
  // VFs are for host devices only.
  const isMeant = ({ vfs }: RewriteRule) => vfs === undefined || iface.type === 'hostdev';
  return findRule(context, isMeant, {
    guest: context.domain.name,
    mac: iface.mac,
    network: source.network,
    portgroup: source.portgroup,
    bridge: iface.type === 'bridge' ? source.bridge : undefined,
    dev: source.dev,
    tap: target.dev,
    address,
    pf: (address && context.pfOf(address)) ?? undefined,
  });
}

/** That rule; what the guest may choose of its connection goes before what the rule says of it, unless it is final. */
function ruleOf(iface: Interface, context: Ruling): Ruled | undefined {
  const found = writtenRuleOf(iface, context);
  const place = withoutFinal(placeOf(iface, context.requests), found?.rule);
  if (Object.keys(place).length === 0) return found;
  // One connection in the place of the other; what is said of something else is followed beside it.
  const { network, portgroup, bridge, dev, mode, ...others } = found?.rule ?? { match: {} };
  const beside =
    place.bridge !== undefined
      ? {}
      : place.dev !== undefined
        ? { mode }
        : place.network !== undefined || place.portgroup !== undefined
          ? { network, portgroup }
          : { network, portgroup, bridge, dev, mode };
  return { rule: { ...others, ...dropUndefined(beside), ...place }, source: 'what its <metadata> asks for' };
}

const connecting = ['network', 'portgroup', 'bridge', 'dev', 'mode'] as const;

/** What a final rule says of a connection, a VF, a name stands against what the guest asks for. */
function withoutFinal(place: GuestPlace, rule: RewriteRule | undefined): GuestPlace {
  if (!rule?.final) return place;
  const connects = connecting.some(key => rule[key] !== undefined);
  const isFixed = (key: string) =>
    rule[key as keyof GuestPlace] !== undefined || (connects && (connecting as readonly string[]).includes(key));
  return Object.fromEntries(Object.entries(place).filter(([key]) => !isFixed(key)));
}

function refusedPlaces(iface: Interface, context: Ruling): string[] {
  const found = writtenRuleOf(iface, context);
  const place = placeOf(iface, context.requests);
  const heeded = withoutFinal(place, found?.rule);
  return Object.keys(place)
    .filter(key => !(key in heeded))
    .map(
      key =>
        `interface ${iface.mac ?? iface.index}: '${key}' in its <metadata> does not count: ${found?.source} is final`,
    );
}

/** The bridge of an ethernet interface is no matter of its document. */
function placeOf({ mac, target, type }: Interface, requests: readonly GuestRequest[]): GuestPlace {
  const which = { mac, tap: target.dev };
  const bridge = type === 'ethernet' ? undefined : findRequest(requests, which)?.bridge;
  return { ...findPlace(requests, which), ...(bridge !== undefined && { bridge }) };
}

function rewriteInterface(iface: Interface, context: Context): Rewritten {
  const { mac, owner } = iface;
  const address = iface.hostDevice?.address;
  const found = ruleOf(iface, context);
  if (found === undefined) return nothing;
  const { rule, source: why } = found;
  const refuse: Refuse = (reason, hint) => {
    throw new ActualnetError('ABI_BREAK', `${why} cannot be followed: ${reason}`, { owner, hint });
  };
  const parts = [
    connect(iface, rule, { context, refuse, why }),
    rule.vfs === undefined ? nothing : pick(iface.element, address, { rule, context, owner, refuse, why }),
    rule.target === undefined ? nothing : retarget(iface, rule.target, { refuse, why }),
    rule.alias === undefined ? nothing : rename(iface.element, { alias: rule.alias, context, refuse, why }),
  ];
  return {
    edits: parts.flatMap(({ edits }) => edits),
    changes: parts.flatMap(({ changes }) =>
      changes.map(change => `interface ${mac ?? iface.index}: ${change} (${why})`),
    ),
  };
}

/** The same for a plain host device. A rule for interfaces is none for it, unless it names it. */
function hostdevRuleOf({ type, address }: Hostdev, context: Ruling): Ruled | undefined {
  if (type !== 'pci' || address === undefined) return undefined;
  const isMeant = (rule: RewriteRule) => !isForInterfaces(rule) || (rule.match.address ?? rule.match.pf) !== undefined;
  return findRule(context, isMeant, {
    guest: context.domain.name,
    address,
    pf: context.pfOf(address) ?? undefined,
  });
}

/**
 * The host addresses that devices of the guest keep: free ones, and those that no rule changes. None of them can be picked
 * for another of its devices.
 */
function keptAddresses(context: Ruling): ReadonlySet<PciAddress> {
  const { interfaces, hostdevs, commandLine } = context.domain;
  const ruled = [
    ...interfaces.map(iface => ({ address: iface.hostDevice?.address, rule: ruleOf(iface, context)?.rule })),
    ...hostdevs.map(hostdev => ({ address: hostdev.address, rule: hostdevRuleOf(hostdev, context)?.rule })),
    ...commandLineHostdevs(commandLine).map(({ address }) => ({ address, rule: undefined })),
  ];
  return new Set(
    ruled.flatMap(({ address, rule }) =>
      address !== undefined && (rule?.vfs === undefined || context.freeVfs(rule.vfs, address).includes(address))
        ? address
        : [],
    ),
  );
}

function rewriteHostdev(hostdev: Hostdev, index: number, context: Context): Rewritten {
  const { address, element } = hostdev;
  const found = hostdevRuleOf(hostdev, context);
  if (found === undefined || address === undefined) return nothing;
  const { rule, source: why } = found;
  const pf = context.pfOf(address);
  const owner = `${context.domain.owner}, host device ${address}`;
  const refuse: Refuse = (reason, hint) => {
    throw new ActualnetError('ABI_BREAK', `${why} cannot be followed: ${reason}`, { owner, hint });
  };
  if (isForInterfaces(rule)) refuse('a plain host device has no network, bridge, device or target');
  // Another kind of card is no VF, whatever a rule for everything says.
  const isOther = rule.vfs !== undefined && pf === null;
  if (rule.vfs !== undefined && pf === undefined && !/[0-9a-f]/.test(rule.match.address ?? ''))
    refuse('it is not known here whether it is a VF', "name its address in 'match'");
  const parts = [
    rule.vfs === undefined || isOther ? nothing : pick(element, address, { rule, context, owner, refuse, why }),
    rule.alias === undefined ? nothing : rename(element, { alias: rule.alias, context, refuse, why }),
  ];
  return {
    edits: parts.flatMap(({ edits }) => edits),
    changes: parts.flatMap(({ changes }) => changes.map(change => `host device ${index}: ${change} (${why})`)),
  };
}

function isForInterfaces({ network, portgroup, bridge, dev, mode, target }: RewriteRule): boolean {
  return [network, portgroup, bridge, dev, mode, target].some(value => value !== undefined);
}

function findRule(
  { rules }: RewriteContext,
  isMeant: (rule: RewriteRule) => boolean,
  subject: Parameters<typeof fits>[1],
): Ruled | undefined {
  const index = rules.findIndex(rule => isMeant(rule) && fits(rule.match, subject));
  return index === -1 ? undefined : { rule: rules[index]!, source: `rule ${index + 1} of 'rewrite'` };
}

/** The host's side of a host device: an address that is free stays. */
function pick(
  element: XmlElement,
  address: PciAddress | undefined,
  { rule, context, owner, refuse, why }: { rule: RewriteRule; owner: string } & Asked<Context>,
): Rewritten {
  const place = element.child('source')?.child('address');
  if (place === undefined || address === undefined) return refuse("'vfs' is for a host device with a PCI address");
  const { picks, kept } = context;
  const free = context.freeVfs(rule.vfs!, address).filter(each => !picks.has(each));
  const chosen = free.find(each => each === address || !kept.has(each));
  if (chosen === undefined) {
    throw new ActualnetError('POOL_EXHAUSTED', `${why}: no VF of ${rule.vfs!.join(', ')} is free`, {
      owner,
      hint: 'stop a guest that has one, or make more',
    });
  }
  picks.add(chosen);
  if (chosen === address) return nothing;
  const attributes = Object.entries(pciAddressAttributes(chosen));
  return {
    edits: attributes.map(([name, value]) => setAttribute(place, name, value, why)),
    changes: [`host address ${address} becomes ${chosen}`],
  };
}
