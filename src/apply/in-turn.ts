import { type Change, isVfSubject, portFlags, type Subject, type Value } from '../plan/change.ts';
import { type HostView, isSame, observe } from '../plan/host-view.ts';
import { whoHasMac } from '../plan/mac-holders.ts';

/** What a change finds when those before it have been carried out. */
export interface Found {
  readonly observed: Value | undefined;
  /** The device, or its place in a bridge, is only made by then. */
  readonly isNew: boolean;
  /** Why it cannot be carried out: what it is about is not there, or its place is taken. */
  readonly problem: string | undefined;
}

/**
 * Observes what changes are about that are carried out one after the other: a link that is going to be made has nothing yet,
 * and what is a port's comes with its bridge, whatever it had without one.
 */
export function observeInTurn(host: HostView): (change: Change) => Found {
  const made = new Set<string>();
  const joining = new Map<string, string>();
  return change => {
    const { subject, to } = change;
    const { dev } = subject;
    const isNew = made.has(dev) || (joining.has(dev) && isOfPort(subject));
    const observed = isNew ? null : observe(subject, host);
    if (to !== null && (isNew || !isMet(change, observed))) {
      if (subject.kind === 'link') made.add(dev);
      if (subject.kind === 'master') joining.set(dev, String(to));
    }
    const bridge = joining.get(dev) ?? host.link(dev)?.master ?? undefined;
    return { observed, isNew, problem: findProblem(change, observed, { bridge, host }) };
  };
}

/** A VLAN that several guests need is there in whatever way the port carries it: how is for the administrator to say. */
export function isMet(
  { subject, to, shared }: Pick<Change, 'subject' | 'to' | 'shared'>,
  observed: Value | undefined,
): boolean {
  // More VFs than are needed are somebody else's, and are let be.
  if (subject.kind === 'vfs') return Number(observed) >= Number(to);
  if (shared && subject.kind === 'vlan' && to !== null) return observed !== null && observed !== undefined;
  return isSame(observed, to);
}

function findProblem(
  { subject, to }: Change,
  observed: Value | undefined,
  { bridge, host }: { readonly bridge: string | undefined; readonly host: HostView },
): string | undefined {
  const { dev } = subject;
  if (observed === undefined) {
    if (isVfSubject(subject)) return `there is no VF ${subject.vf} of '${dev}'`;
    return isOfPort(subject) && host.link(dev) !== undefined
      ? `'${dev}' is no port of a Linux bridge`
      : `there is no device '${dev}'`;
  }
  return subject.kind === 'fdb' && to === true ? whoHasMac(subject, bridge, host) : undefined;
}

function isOfPort({ kind }: Subject): boolean {
  return kind === 'vlan' || (portFlags as readonly string[]).includes(kind);
}
