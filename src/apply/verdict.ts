import { parseDriver } from '../model/vf-values.ts';
import {
  type Change,
  describeChange,
  describeVfValue,
  isCardSubject,
  isVfSubject,
  type Subject,
  type Value,
} from '../plan/change.ts';
import { findUse, useKinds } from '../plan/device-uses.ts';
import { type HostView, isSame, type LinkState, observe } from '../plan/host-view.ts';
import { guestOfVfs, hasBeenTaken, userOf } from '../plan/vfs.ts';
import type { LedgerEntry } from './ledger.ts';

/** What undoing comes to on the host as it is: what to change, newest first, and what is somebody else's now. */
export function decideUndo<E extends { readonly entry: LedgerEntry }>(undoings: readonly E[], host: HostView) {
  const fate = new LinkFates(
    undoings.map(({ entry }) => entry),
    host,
  );
  const steps: { undoing: E; change: Pick<Change, 'subject' | 'to'> }[] = [];
  const finished: E[] = [];
  const left: string[] = [];
  const waiting: string[] = [];
  for (const undoing of [...undoings].reverse()) {
    const { entry } = undoing;
    const verdict = judge(entry, host, fate);
    if (verdict.is === 'undo') {
      steps.push({ undoing, change: { subject: entry.subject, to: valueBefore(entry, host) } });
      continue;
    }
    if (verdict.is === 'in use') waiting.push(`${describeChange(entry)}: ${verdict.why}`);
    else finished.push(undoing);
    if (verdict.is === 'theirs') left.push(`${describeChange(entry)}: ${verdict.why}`);
  }
  return { steps: topFirst(steps, host), finished, left, waiting };
}

/** Ledgers of several devices have no order among them, and with a link the kernel takes away the VLANs that are on it. */
function topFirst<S extends { readonly change: Pick<Change, 'subject'> }>(steps: readonly S[], host: HostView): S[] {
  const going = new Set(steps.flatMap(({ change: { subject } }) => (subject.kind === 'link' ? subject.dev : [])));
  const heightOf = (dev: string): number => {
    const { uppers, master } = host.link(dev)!;
    const above = uppers.filter(upper => upper !== master && going.has(upper));
    return above.length === 0 ? 0 : 1 + Math.max(...above.map(heightOf));
  };
  const placeOf = ({ change: { subject } }: S) => (subject.kind === 'link' ? heightOf(subject.dev) : 0);
  return going.size < 2 ? [...steps] : [...steps].sort((a, b) => placeOf(a) - placeOf(b));
}

/** `theirs` is given up; what is `in use` stays in the ledger, to be undone when nobody uses it any more. */
type Verdict = { readonly is: 'undo' | 'done' } | { readonly is: 'theirs' | 'in use'; readonly why: string };

function judge(entry: LedgerEntry, host: HostView, fates: LinkFates): Verdict {
  if (isCardSubject(entry.subject)) return judgeCard(entry, host);
  const { subject, before, to, toBefore, byLibvirt, index } = entry;
  const { dev } = subject;
  const link = host.link(dev);
  if (link === undefined) return { is: 'done' };
  const isAnother = index !== undefined && link.index !== index;
  if (subject.kind === 'link') {
    if (isAnother) return { is: 'theirs', why: 'another device has that name now' };
    return fates.goes(dev)
      ? { is: 'undo' }
      : { is: 'in use', why: `still used by ${fates.strangersOn(dev).join(', ')}` };
  }
  // It goes with the link that we made, or that link is another one by now.
  if (isAnother || fates.goes(dev)) return { is: 'done' };
  if (fates.isHeld(link) || (subject.kind === 'master' && fates.stays(String(to))))
    return { is: 'in use', why: 'it carries what is still used' };
  const observed = observe(subject, host);
  if (observed === undefined || isSame(observed, before) || (before === null && isProperty(subject)))
    return { is: 'done' };
  const isOurs = isSame(observed, to) || (toBefore !== undefined && isSame(observed, toBefore));
  // What libvirt left down comes up again; what somebody brought up after we put it down is theirs.
  const isLeftDown = byLibvirt && before === true;
  if (!isOurs && !isLeftDown) return { is: 'theirs', why: 'somebody has changed it since' };
  if (subject.kind !== 'up' || observed !== true) return { is: 'undo' };
  // VFs are dead while their PF is down, and no link tells.
  const needed = hindranceFor({ kind: 'vfs', dev }, host);
  if (needed !== undefined) return { is: 'in use', why: needed };
  const users = link.uppers.filter(upper => !fates.goes(upper));
  return users.length === 0 ? { is: 'undo' } : { is: 'in use', why: `still used by ${users.join(', ')}` };
}

/** A card's VFs, what it holds for one of them, a PCI device's driver. Never anything that somebody else uses by now. */
function judgeCard(entry: LedgerEntry, host: HostView): Verdict {
  const { subject, before, to, toBefore, byLibvirt, index } = entry;
  const observed = observe(subject, host);
  const link = host.link(subject.dev);
  const isAnother = index !== undefined && link?.index !== index;
  // A PF that got another name still has its VFs, as they were left.
  if (isVfSubject(subject) && link === undefined) return { is: 'theirs', why: `there is no '${subject.dev}' any more` };
  if (observed === undefined || isAnother) return { is: 'done' };
  const isOnlyKept = to === null && toBefore === undefined;
  if (before === null && isVfSubject(subject))
    return isOnlyKept ? { is: 'done' } : { is: 'theirs', why: 'the driver does not tell what it was before' };
  if (isSame(observed, before)) return { is: 'done' };
  const why = hindranceFor(subject, host);
  if (why !== undefined) return { is: 'in use', why };
  const isOurs =
    isSame(observed, to) || (toBefore !== undefined && isSame(observed, toBefore)) || isHalfDone(subject, observed, to);
  // MAC and VLAN are libvirt's, who puts them back otherwise than they were; the rest only others change.
  const isByLibvirt = byLibvirt && (subject.kind === 'vf-mac' || subject.kind === 'vf-vlan');
  if (isOurs || isByLibvirt) return { is: 'undo' };
  return { is: 'theirs', why: `somebody has changed it since, to ${describeVfValue(observed)}` };
}

/**
 * What did not come to its end: a device reserved as we wanted it, but not bound, or not to that; VFs that were on the way
 * from one number to another, which is by way of none.
 */
function isHalfDone(subject: Subject, observed: Value, to: Value): boolean {
  if (subject.kind === 'vfs') return observed === 0;
  if (subject.kind !== 'driver' || typeof observed !== 'string' || typeof to !== 'string') return false;
  const { override } = parseDriver(to);
  return override !== null && parseDriver(observed).override === override;
}

/** Why a subject of a card cannot be touched now. */
export function hindranceFor(subject: Subject, host: HostView): string | undefined {
  if (subject.kind === 'driver') return describeUser(userOf(subject.dev, host));
  const pf = host.link(subject.dev)?.pci;
  const vfs = (pf && host.pci(pf)?.vfs) || [];
  if (subject.kind === 'vfs') {
    // Someone would lose a VF, and the kernel would keep the writer waiting.
    const found = vfs.map(vf => ({ vf, use: findUse(vf, host, useKinds) })).find(({ use }) => use !== undefined);
    return found && `VF ${found.vf}: ${found.use?.why}`;
  }
  if (subject.kind === 'unmanaged') return describeUser(guestOfVfs(vfs, host));
  const vf = isVfSubject(subject) ? vfs[subject.vf] : undefined;
  if (vf === undefined || !isVfSubject(subject)) return undefined;
  const use = { address: vf, pf: subject.dev, vf: subject.vf };
  return describeUser(userOf(vf, host) ?? (hasBeenTaken(use, host) ? 'libvirt, for a guest' : undefined));
}

function describeUser(user: string | undefined): string | undefined {
  return user === undefined ? undefined : `it is in use by ${user}`;
}

function valueBefore({ subject, before }: LedgerEntry, host: HostView): Change['to'] {
  if (subject.kind === 'link') return null;
  const isGoneBridge = subject.kind === 'master' && typeof before === 'string' && host.link(before) === undefined;
  return isGoneBridge ? null : before;
}

/** Every link has these; without a value from before there is nothing to go back to. */
function isProperty({ kind }: LedgerEntry['subject']): boolean {
  return kind !== 'master' && kind !== 'vlan';
}

/** Which links of ours go away, and which stay because somebody else stands on them or is plugged into them. */
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
      const held = [...this.#going].filter(dev => this.strangersOn(dev).length > 0 || isCarrying(dev));
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

  strangersOn(dev: string): string[] {
    const link = this.#host.link(dev);
    if (link === undefined) return [];
    const ports = link.isBridge ? link.lowers.filter(port => !this.#plugged.has(`${port} ${dev}`)) : [];
    const above = link.uppers.filter(upper => upper !== link.master);
    return [...ports, ...above].filter(other => !this.#going.has(other));
  }
}
