import type { HostView } from '../kernel/host-view.ts';
import type { Value } from '../kernel/kind.ts';
import { type Change, isSatisfied, kindOf, observe } from '../kernel/registry.ts';

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
    const isNew = made.has(dev) || (joining.has(dev) && kindOf(subject).belongsTo === 'port');
    const observed = isNew ? null : observe(subject, host);
    if (to !== null && (isNew || !isSatisfied(change, observed))) {
      if (subject.kind === 'link') made.add(dev);
      if (subject.kind === 'master') joining.set(dev, String(to));
    }
    const bridge = joining.get(dev) ?? host.link(dev)?.master ?? undefined;
    const problem =
      observed === undefined
        ? describeMissing(change, host)
        : kindOf(subject).conflict?.(subject, to, { bridge, host });
    return { observed, isNew, problem };
  };
}

function describeMissing({ subject }: Change, host: HostView): string {
  const { describeMissing: describe, belongsTo } = kindOf(subject);
  if (describe !== undefined) return describe(subject);
  return belongsTo === 'port' && host.link(subject.dev) !== undefined
    ? `'${subject.dev}' is no port of a Linux bridge`
    : `there is no device '${subject.dev}'`;
}
