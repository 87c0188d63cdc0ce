import type { RewriteRule } from '../config/types.ts';
import type { Interface } from '../model/interface.ts';
import { actualTypeOf } from '../resolve/actual.ts';
import type { NetworkLookup } from '../resolve/guest.ts';
import type { XmlEdit } from '../xml/edit.ts';
import { addChildren, removeAttribute, setAttribute, writeXml } from './elements.ts';

/** The edits for one device, and a line for each thing that changes. */
export interface Rewritten {
  readonly edits: readonly XmlEdit[];
  readonly changes: readonly string[];
}

export const nothing: Rewritten = { edits: [], changes: [] };

export type Refuse = (why: string, hint?: string) => never;

/** What a rule is followed with. */
export interface Asked<C> {
  readonly context: C;
  readonly refuse: Refuse;
  readonly why: string;
}

interface Context {
  readonly findNetwork: NetworkLookup;
}

/** Gives an interface another network, bridge or device below its macvtap. Throws through `refuse`. */
export function connect(iface: Interface, rule: RewriteRule, asked: Asked<Context>): Rewritten {
  const { refuse } = asked;
  const { network, portgroup, bridge, dev, mode } = rule;
  if ([network, portgroup, bridge, dev, mode].every(value => value === undefined)) return nothing;
  if (iface.type === 'hostdev') refuse('a host device cannot become anything else', "give it another VF with 'vfs'");
  if (!['network', 'bridge', 'direct', 'ethernet'].includes(iface.type))
    refuse(`an interface of type '${iface.type}' has no place on this host that could be another`);
  if (bridge !== undefined) return toBridge(iface, bridge, asked);
  if (dev !== undefined || (mode !== undefined && iface.type === 'direct'))
    return toDirect(iface, { dev: dev ?? iface.source.dev!, mode: mode ?? iface.source.mode ?? 'vepa' }, asked);
  if (mode !== undefined) refuse(`a mode is for a macvtap; this is of type '${iface.type}'`);
  if (network === undefined && iface.type !== 'network')
    refuse(`a portgroup is for a network; this is of type '${iface.type}'`);
  return toNetwork(iface, { network: network ?? iface.source.network!, portgroup }, asked);
}

function toNetwork(
  iface: Interface,
  { network, portgroup }: { network: string; portgroup: string | null | undefined },
  { context, refuse, why }: Asked<Context>,
): Rewritten {
  const { element, source } = iface;
  const isPool = isPoolOf(network, context);
  if (isPool === undefined) refuse(`network '${network}' is not known here`, 'define and start it');
  const wasPool = isOfPool(iface, context);
  if (isPool && !wasPool)
    refuse(
      `network '${network}' is a pool of host devices, and a network card would become one`,
      'choose a network of the same kind',
    );
  if (!isPool) requireCard(iface, `network '${network}'`, { context, refuse });
  if (iface.type !== 'network') {
    requireMovable(iface, 'network', refuse);
    const attributes = { network, ...(portgroup ? { portgroup } : {}) };
    return replaceSource(iface, { type: 'network', attributes }, why);
  }
  const edits: XmlEdit[] = [];
  const changes: string[] = [];
  const from = element.child('source')!;
  if (network !== source.network) {
    edits.push(setAttribute(from, 'network', network, why));
    changes.push(`network '${source.network}' becomes '${network}'`);
  }
  const wanted = portgroup ?? undefined;
  if (portgroup !== undefined && wanted !== source.portgroup) {
    edits.push(
      ...(wanted === undefined
        ? removeAttribute(from, 'portgroup', why)
        : [setAttribute(from, 'portgroup', wanted, why)]),
    );
    changes.push(`portgroup ${quoted(source.portgroup)} becomes ${quoted(wanted)}`);
  }
  return { edits, changes };
}

function toBridge(iface: Interface, bridge: string, { context, refuse, why }: Asked<Context>): Rewritten {
  const { element, source } = iface;
  if (iface.type === 'bridge') {
    if (source.bridge === bridge) return nothing;
    return {
      edits: [setAttribute(element.child('source')!, 'bridge', bridge, why)],
      changes: [`bridge '${source.bridge}' becomes '${bridge}'`],
    };
  }
  requireMovable(iface, 'bridge', refuse);
  requireCard(iface, 'a bridge', { context, refuse });
  return replaceSource(iface, { type: 'bridge', attributes: { bridge } }, why);
}

function toDirect(
  iface: Interface,
  { dev, mode }: { dev: string; mode: string },
  { context, refuse, why }: Asked<Context>,
): Rewritten {
  const { element, source } = iface;
  if (iface.type === 'direct') {
    const from = element.child('source')!;
    const isSame = source.dev === dev && source.mode === mode;
    if (isSame) return nothing;
    return {
      edits: [
        ...(source.dev === dev ? [] : [setAttribute(from, 'dev', dev, why)]),
        ...(source.mode === mode ? [] : [setAttribute(from, 'mode', mode, why)]),
      ],
      changes: [`macvtap on '${source.dev}' (${source.mode}) becomes one on '${dev}' (${mode})`],
    };
  }
  requireMovable(iface, 'direct', refuse);
  requireCard(iface, 'a macvtap', { context, refuse });
  if (iface.filter !== undefined) refuse('it has a <filterref>, and libvirt filters nothing on a macvtap');
  return replaceSource(iface, { type: 'direct', attributes: { dev, mode } }, why);
}

/** What libvirt accepts on one type of interface only keeps it from becoming another. */
function requireMovable(iface: Interface, to: 'network' | 'bridge' | 'direct', refuse: Refuse): void {
  const { type, target, virtualport, bandwidth, element, mtu } = iface;
  const port = virtualport?.type;
  // Its tap would be in no bridge (virNetDevTapAttachBridge is not even called), and QEMU runs all the same.
  if (to === 'bridge' && (port === '802.1Qbg' || port === '802.1Qbh'))
    refuse(`its <virtualport> is of type '${port}', with which libvirt plugs a tap into no bridge`);
  if (to === 'direct' && (port === 'openvswitch' || port === 'midonet'))
    refuse(`its <virtualport> is of type '${port}', which a macvtap cannot have`);
  if (to === 'direct' && mtu !== undefined && mtu > 0) refuse('it has an <mtu>, which libvirt refuses on a macvtap');
  if (to === 'direct' && element.child('coalesce') !== undefined)
    refuse('it has <coalesce>, which libvirt refuses on a macvtap');
  if (type === 'ethernet' && !target.managed) refuse("its tap is the administrator's (managed='no')");
  if (element.child('script') !== undefined || element.child('downscript') !== undefined)
    refuse('it has a <script>, which only an interface of type ethernet can have');
  if (type === 'network' && virtualport !== undefined && virtualport.type === undefined)
    refuse('its <virtualport> has no type: only the network can complete it');
  if (type === 'network' && virtualport !== undefined && virtualport.generated.length > 0)
    refuse('its <virtualport> is not complete: only the network can complete it');
  if (type === 'network' && bandwidth?.inbound?.floor !== undefined)
    refuse('its bandwidth has a floor, which only a network can give');
}

/** A VF stays a VF: elsewhere the guest would find another card. */
function requireCard(
  iface: Interface,
  target: string,
  { context, refuse }: Pick<Asked<Context>, 'context' | 'refuse'>,
): void {
  const { network = '' } = iface.source;
  if (!isOfPool(iface, context)) return;
  if (isPoolOf(network, context))
    refuse(
      `network '${network}' is a pool of host devices, ${target} is no pool of host devices, and the guest would get another card instead of its VF`,
      'choose a network of the same kind',
    );
  refuse(
    `${target} is no pool of host devices, and the document has no <model>: if it is a VF where it comes from, the guest would get another card`,
    "write the card's <model> into its definition",
  );
}

/**
 * Whether it is a VF of a network: where it comes from, since libvirt writes a model for every card and for nothing else, or
 * by the network of that name on this host.
 */
export function isOfPool({ type, model, source }: Interface, context: Context): boolean {
  return type === 'network' && (model === undefined || isPoolOf(source.network!, context) === true);
}

function isPoolOf(name: string, { findNetwork }: Context): boolean | undefined {
  const state = findNetwork(name);
  return state && actualTypeOf(state.network) === 'hostdev';
}

function replaceSource(
  iface: Interface,
  to: { readonly type: string; readonly attributes: Readonly<Record<string, string>> },
  why: string,
): Rewritten {
  const { element, type } = iface;
  const source = { name: 'source', attributes: to.attributes };
  const present = element.child('source');
  const named = Object.entries(to.attributes).map(([name, value]) => `${name} '${value}'`);
  return {
    edits: [
      setAttribute(element, 'type', to.type, why),
      ...(present === undefined
        ? addChildren(element, [source], why)
        : [{ at: present.span, text: writeXml(source), why }]),
    ],
    changes: [`type ${type} becomes ${to.type}, ${named.join(', ')}`],
  };
}

/** For messages. */
export function quoted(value: string | undefined): string {
  return value === undefined ? '(none)' : `'${value}'`;
}
