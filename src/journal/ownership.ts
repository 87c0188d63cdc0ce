import type { HostView, LinkState } from '../kernel/host-view.ts';
import { describeChange, describeValue, isEqual, kindOf, observe, type Target } from '../kernel/registry.ts';
import type { LedgerEntry } from './ledger.ts';

/** What undoing comes to on the host as it is: what to change, newest first, and what is left alone or deferred. */
export function decideUndo<E extends { readonly entry: LedgerEntry }>(undoings: readonly E[], host: HostView) {
  const fates = new LinkFates(
    undoings.map(({ entry }) => entry),
    host,
  );
  const steps: { undoing: E; change: Target }[] = [];
  const finished: E[] = [];
  const leftAlone: string[] = [];
  const deferred: string[] = [];
  for (const undoing of [...undoings].reverse()) {
    const { entry } = undoing;
    const ownership = ownershipOf(entry, host, fates);
    if (ownership.is === 'ours') {
      steps.push({ undoing, change: { subject: entry.subject, to: valueBefore(entry, host) } });
      continue;
    }
    if (ownership.is === 'in use') deferred.push(`${describeChange(entry)}: ${ownership.why}`);
    else finished.push(undoing);
    if (ownership.is === 'foreign') leftAlone.push(`${describeChange(entry)}: ${ownership.why}`);
  }
  return { steps: topFirst(steps, host), finished, leftAlone, deferred };
}

/** Ledgers of several devices have no order among them, and with a link the kernel takes away the VLANs that are on it. */
function topFirst<S extends { readonly change: Target }>(steps: readonly S[], host: HostView): S[] {
  const going = new Set(steps.flatMap(({ change: { subject } }) => (subject.kind === 'link' ? subject.dev : [])));
  const heightOf = (dev: string): number => {
    const { uppers, master } = host.link(dev)!;
    const above = uppers.filter(upper => upper !== master && going.has(upper));
    return above.length === 0 ? 0 : 1 + Math.max(...above.map(heightOf));
  };
  const placeOf = ({ change: { subject } }: S) => (subject.kind === 'link' ? heightOf(subject.dev) : 0);
  return going.size < 2 ? [...steps] : [...steps].sort((a, b) => placeOf(a) - placeOf(b));
}

/**
 * `ours` is undone; of what is `gone` nothing is left to undo; `foreign` is given up; what is `in use` stays in the ledger, to
 * be undone when nobody uses it any more.
 */
type Ownership = { readonly is: 'ours' | 'gone' } | { readonly is: 'foreign' | 'in use'; readonly why: string };

function ownershipOf(entry: LedgerEntry, host: HostView, fates: LinkFates): Ownership {
  const { subject } = entry;
  if (kindOf(subject).belongsTo === 'card') return ownershipOnCard(entry, host);
  return subject.kind === 'link' ? ownershipOfLink(entry, host, fates) : ownershipOnLink(entry, host, fates);
}

function ownershipOfLink({ subject: { dev }, index }: LedgerEntry, host: HostView, fates: LinkFates): Ownership {
  const link = host.link(dev);
  if (link === undefined) return { is: 'gone' };
  if (index !== undefined && link.index !== index) return { is: 'foreign', why: 'another device has that name now' };
  return fates.goes(dev) ? { is: 'ours' } : { is: 'in use', why: `still used by ${fates.foreignOn(dev).join(', ')}` };
}

/** What a link or a bridge's port has. */
function ownershipOnLink(entry: LedgerEntry, host: HostView, fates: LinkFates): Ownership {
  const { subject, before, to, byLibvirt, index } = entry;
  const { dev } = subject;
  const kind = kindOf(subject);
  const link = host.link(dev);
  if (link === undefined) return { is: 'gone' };
  // It goes with the link that we made, or that link is another one by now.
  if ((index !== undefined && link.index !== index) || fates.goes(dev)) return { is: 'gone' };
  if (fates.isHeld(link) || (subject.kind === 'master' && fates.stays(String(to))))
    return { is: 'in use', why: 'it carries what is still used' };
  const observed = observe(subject, host);
  if (observed === undefined || isEqual(subject, observed, before) || (before === null && !kind.mayBeNone))
    return { is: 'gone' };
  // What libvirt left down comes up again; what somebody brought up after we put it down is foreign.
  const isLeftDown = byLibvirt && before === true;
  if (!isAsWeSetIt(entry, observed) && !isLeftDown) return { is: 'foreign', why: 'somebody has changed it since' };
  const why = kind.blocker?.(subject, observed, host, upper => fates.goes(upper));
  return why === undefined ? { is: 'ours' } : { is: 'in use', why };
}

/** A card's VFs, what it holds for one of them, a PCI device's driver. Never anything that somebody else uses by now. */
function ownershipOnCard(entry: LedgerEntry, host: HostView): Ownership {
  const { subject, before, to, toBefore, byLibvirt, index } = entry;
  const kind = kindOf(subject);
  const link = host.link(subject.dev);
  // A PF that got another name still has its VFs, as they were left.
  if (kind.mayBeUntold && link === undefined) return { is: 'foreign', why: `there is no '${subject.dev}' any more` };
  const observed = observe(subject, host);
  if (observed === undefined || (index !== undefined && link?.index !== index)) return { is: 'gone' };
  const isOnlyKept = to === null && toBefore === undefined;
  if (before === null && kind.mayBeUntold)
    return isOnlyKept ? { is: 'gone' } : { is: 'foreign', why: 'the driver does not tell what it was before' };
  if (isEqual(subject, observed, before)) return { is: 'gone' };
  const why = kind.blocker?.(subject, observed, host, () => false);
  if (why !== undefined) return { is: 'in use', why };
  const isOurs = isAsWeSetIt(entry, observed) || kind.isHalfDone?.(observed, to);
  if (isOurs || (byLibvirt && kind.isPutBackByLibvirt)) return { is: 'ours' };
  return { is: 'foreign', why: `somebody has changed it since, to ${describeValue({ subject, to: observed })}` };
}

function isAsWeSetIt({ subject, to, toBefore }: LedgerEntry, observed: LedgerEntry['to']): boolean {
  return isEqual(subject, observed, to) || (toBefore !== undefined && isEqual(subject, observed, toBefore));
}

function valueBefore({ subject, before }: LedgerEntry, host: HostView): Target['to'] {
  if (subject.kind === 'link') return null;
  const isGoneBridge = subject.kind === 'master' && typeof before === 'string' && host.link(before) === undefined;
  return isGoneBridge ? null : before;
}

/** Which links of ours go away, and which stay because something foreign stands on them or is plugged into them. */
class LinkFates {
  readonly #host: HostView;
  readonly #plugged: ReadonlySet<string>;
  readonly #going: Set<string>;
  readonly #staying = new Set<string>();

  constructor(entries: readonly LedgerEntry[], host: HostView) {
    this.#host = host;
    const pluggedByUs = entries.filter(({ subject }) => subject.kind === 'master');
    this.#plugged = new Set(pluggedByUs.map(({ subject, to }) => `${subject.dev} ${to}`));
    const made = entries.filter(({ subject, index }) => {
      const link = host.link(subject.dev);
      // Without an index we were killed before we could note it; the name was free when we announced it.
      return subject.kind === 'link' && link !== undefined && (index === undefined || link.index === index);
    });
    this.#going = new Set(made.map(({ subject }) => subject.dev));
    // A provided VLAN device carries its bridge; a guest's own tap is only plugged into it.
    const carriers = new Set(made.filter(({ users }) => users.length > 0).map(({ subject }) => subject.dev));
    const isCarrying = (dev: string) => carriers.has(dev) && this.#staying.has(host.link(dev)?.master ?? '');
    for (let found = true; found; ) {
      const held = [...this.#going].filter(dev => this.foreignOn(dev).length > 0 || isCarrying(dev));
      for (const dev of held) {
        this.#going.delete(dev);
        this.#staying.add(dev);
      }
      found = held.length > 0;
    }
  }

  goes(dev: string): boolean {
    return this.#going.has(dev);
  }

  stays(dev: string): boolean {
    return this.#staying.has(dev);
  }

  /** A link that stays, or that carries one that does. */
  isHeld({ dev, uppers, master }: LinkState): boolean {
    return [dev, ...uppers, ...(master === null ? [] : [master])].some(each => this.#staying.has(each));
  }

  foreignOn(dev: string): string[] {
    const link = this.#host.link(dev);
    if (link === undefined) return [];
    const ports = link.isBridge ? link.lowers.filter(port => !this.#plugged.has(`${port} ${dev}`)) : [];
    const above = link.uppers.filter(upper => upper !== link.master);
    return [...ports, ...above].filter(other => !this.#going.has(other));
  }
}
