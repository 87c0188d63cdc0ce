import { flood, isolated, learning } from './bridge-port.ts';
import { driver } from './driver.ts';
import { fdb } from './fdb.ts';
import type { HostView, Needs } from './host-view.ts';
import type { AnySubject, Command, Kind, Value } from './kind.ts';
import { link } from './link.ts';
import { mac } from './mac.ts';
import { master } from './master.ts';
import { mtu } from './mtu.ts';
import { udevRule } from './udev-rule.ts';
import { up } from './up.ts';
import { vfMac, vfQueryRss, vfRate, vfSpoofchk, vfState, vfTrust, vfVlan } from './vf.ts';
import { vfNumber } from './vf-number.ts';
import { vlan } from './vlan.ts';

/** Every kind of object that is set on a host, under the name that ledgers have for it. */
const registry = {
  link,
  up,
  mtu,
  mac,
  master,
  learning,
  flood,
  isolated,
  fdb,
  vlan,
  'vf-trust': vfTrust,
  'vf-mac': vfMac,
  'vf-vlan': vfVlan,
  'vf-spoofchk': vfSpoofchk,
  'vf-query_rss': vfQueryRss,
  'vf-rate': vfRate,
  'vf-state': vfState,
  vfs: vfNumber,
  unmanaged: udevRule,
  driver,
};

/** One thing of the host that can be observed and set. */
export type Subject = { [K in keyof typeof registry]: SubjectOf<(typeof registry)[K]> }[keyof typeof registry];
export type KindName = Subject['kind'];

type SubjectOf<K> = K extends Kind<infer S, infer _> ? S : never;

/** A subject and what it is to become. */
export interface Change {
  readonly subject: Subject;
  readonly to: Value;
  /** What it is for, as shown to an administrator. */
  readonly why: string;
  /** Other guests may need the same: it stays until the last one has gone. */
  readonly shared?: boolean;
  /** libvirt (for a VF's MAC also the guest) does it a moment later; only the state before is kept, to be restored in the end. */
  readonly byLibvirt?: boolean;
  /** If it is refused, that is told and nothing more. */
  readonly optional?: boolean;
  /** Opens the guest to the network: taken back as soon as its CPUs stop. */
  readonly reach?: boolean;
}

export type Target = Pick<Change, 'subject' | 'to'>;

/** All of them; the compiler says which one is missing or does not fit its name. */
export const kinds: Readonly<Record<KindName, Kind<AnySubject, Value>>> = registry satisfies {
  readonly [K in KindName]: Kind<Extract<Subject, { readonly kind: K }>, Value>;
};

/** The kind of a subject. */
export function kindOf({ kind }: Subject): Kind<AnySubject, Value> {
  return kinds[kind];
}

/** Whether a name, of a stored subject for example, is that of a kind. */
export function isKindName(name: unknown): name is KindName {
  return typeof name === 'string' && Object.hasOwn(kinds, name);
}

/** A text that is equal for equal subjects. */
export function keyOf(subject: Subject): string {
  const detail = kindOf(subject).detail?.(subject);
  return `${subject.kind} ${subject.dev}${detail === undefined ? '' : ` ${detail}`}`;
}

/** What is locked and has a ledger of its own when it is shared: a device, or one VF of a card. */
export function sharedNameOf(subject: Subject): string {
  return kindOf(subject).sharedName?.(subject) ?? subject.dev;
}

/** `tap0 into bridge br0`, as a plan prints it. */
export function describeChange({ subject, to }: Target): string {
  return kindOf(subject).describe(subject, to);
}

/** The same as what was to be done, behind "cannot": `put tap0 into bridge br0`. */
export function describeDoing({ subject, to }: Target): string {
  return kindOf(subject).describeDoing(subject, to);
}

/** A value alone, `on` or `42 qos 5`. */
export function describeValue({ subject, to }: Target): string {
  return to === null ? 'none' : (kindOf(subject).describeValue?.(to) ?? String(to));
}

/** The command that makes a change. Throws for words that a batch line must not hold. */
export function commandFor({ subject, to }: Target): Command {
  return kindOf(subject).command(subject, to);
}

/** The present value of a subject; undefined when the device it belongs to is not there. */
export function observe(subject: Subject, host: HostView): Value | undefined {
  return kindOf(subject).observe(subject, host);
}

/** Whether an observed value is the wanted one; for a link: whether it is there. */
export function isEqual(subject: Subject, observed: Value | undefined, wanted: Value): boolean {
  if (observed === undefined) return false;
  return kindOf(subject).isEqual?.(observed, wanted) ?? observed === wanted;
}

/** Whether what is observed will do for a change. */
export function isSatisfied(
  { subject, to, shared = false }: Target & Pick<Change, 'shared'>,
  observed: Value | undefined,
) {
  return kindOf(subject).isSatisfied?.(to, observed, shared) ?? isEqual(subject, observed, to);
}

/** Whether a subject is one of the settings that a PF holds for a VF. */
export function isVfSubject(subject: Subject): subject is Extract<Subject, { readonly vf: number }> {
  return 'vf' in subject;
}

/** Which tables of the host have to be read to observe subjects. */
export function needsOf(changes: readonly Pick<Change, 'subject'>[]): Needs {
  const needs = changes.flatMap(({ subject }) => kindOf(subject).needs?.(subject) ?? []);
  return {
    fdb: needs.some(({ fdb }) => fdb),
    vlans: needs.some(({ vlans }) => vlans),
    vfs: needs.flatMap(({ vfs }) => vfs ?? []),
    drivers: needs.flatMap(({ drivers }) => drivers ?? []),
  };
}

/** The changes that the host does not show. */
export function findDrift<C extends Target & Pick<Change, 'shared'>>(changes: readonly C[], host: HostView): C[] {
  return changes.filter(change => {
    const observed = observe(change.subject, host);
    const isUntold = observed === null && kindOf(change.subject).mayBeUntold;
    return !isSatisfied(change, observed) && !isUntold;
  });
}
