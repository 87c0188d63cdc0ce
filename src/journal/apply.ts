import type { HostView } from '../kernel/host-view.ts';
import type { Command } from '../kernel/kind.ts';
import {
  type Change,
  commandFor,
  describeChange,
  describeDoing,
  isEqual,
  isSatisfied,
  keyOf,
  kindOf,
  needsOf,
  type Subject,
  sharedNameOf,
} from '../kernel/registry.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import { type Effects, type LedgerFile, timeOf } from './effects.ts';
import { observeInTurn } from './in-turn.ts';
import { foldLedger, intend } from './ledger.ts';
import { forget, rollBack, type Step } from './rollback.ts';

export interface ApplyOptions {
  /** For messages: `guest 'web1'`. */
  readonly owner: string;
  /** Who needs shared changes: a guest's uuid, or `network:NAME`. */
  readonly user: string;
  /** The ledger for what is not shared. */
  readonly ledger: LedgerFile;
  readonly effects: Effects;
  /** Do what can be done and answer what could not; otherwise everything of this call is rolled back and it throws. */
  readonly keepGoing: boolean;
  /** Also looks at the host, tables included, before anything of the guest's own is changed. */
  readonly inspect?: (host: HostView) => void;
}

/** What a call has done so far. */
interface Carried {
  readonly steps: Step[];
  /** The steps whose command was run and did not fail, or of which nobody can tell. */
  readonly ran: Set<Step>;
  readonly problems: string[];
}

/**
 * Carries changes out: observes, skips what is so already, writes the state before into the ledger, acts in at most one
 * `ip` and one `bridge` process, notes what was done. What is shared comes first and has a turn of its own in all of this, so
 * that whoever needs it too waits for nothing else. Answers one line for each thing that could not be done.
 */
export async function carryOut(changes: readonly Change[], applying: ApplyOptions): Promise<string[]> {
  const { effects, user, inspect, keepGoing } = applying;
  if (changes.length === 0 && inspect === undefined) return [];
  const shared = changes.filter(change => change.shared);
  const own = changes.filter(change => !change.shared);
  const carried: Carried = { steps: [], ran: new Set(), problems: [] };
  const unlock = await effects.lock([user]);
  try {
    if (shared.length > 0) await whileLocked(shared, effects, () => carryOutTurn(shared, carried, applying));
    if (own.length > 0 || inspect !== undefined) await carryOutTurn(own, carried, { ...applying, inspects: true });
    return carried.problems;
  } catch (error) {
    if (keepGoing) throw error;
    const { steps, ran } = carried;
    const context = { error: asActualnetError(error), ...applying };
    const sharedSteps = steps.flatMap(({ change }) => (change.shared ? change : []));
    throw await whileLocked(sharedSteps, effects, () => rollBack(steps, ran, context));
  } finally {
    unlock();
  }
}

/** Nobody else touches what is shared of these meanwhile. */
async function whileLocked<T>(changes: readonly Change[], effects: Effects, act: () => Promise<T>): Promise<T> {
  const unlock = await effects.lock(changes.map(({ subject }) => sharedNameOf(subject)));
  try {
    return await act();
  } finally {
    unlock();
  }
}

async function carryOutTurn(
  changes: readonly Change[],
  carried: Carried,
  applying: ApplyOptions & { readonly inspects?: boolean },
): Promise<void> {
  const { effects, keepGoing } = applying;
  const inspect = applying.inspects ? applying.inspect : undefined;
  const needs = needsOf(changes);
  const host = await effects.view({ ...needs, fdb: needs.fdb === true || inspect !== undefined });
  inspect?.(host);
  const { steps, joins, problems } = decide(changes, host, applying);
  announce(steps, joins, applying);
  carried.steps.push(...steps);
  const acted = steps.filter(isOurs);
  const { failed, ran } = await act(acted, applying).catch(error => {
    for (const step of acted) carried.ran.add(step);
    throw error;
  });
  for (const step of ran) carried.ran.add(step);
  const first = [...failed].find(([{ change }]) => !change.optional);
  if (first !== undefined && !keepGoing) {
    const [{ change }, message] = first;
    throw new ActualnetError('ACTION_FAILED', `cannot ${describeDoing(change)} (${change.why}): ${message}`);
  }
  forget([...failed.keys()], effects);
  await noteDone([...ran], applying);
  const refused = [...failed].map(([{ change }, message]) => `${describeChange(change)}: ${message}`);
  carried.problems.push(...problems, ...refused);
}

type OwnStep = Step & { readonly command: Command };

function isOurs(step: Step): step is OwnStep {
  return step.command !== undefined;
}

interface Join {
  readonly file: LedgerFile;
  readonly key: string;
}

/** What has to be done and announced; throws before anything is announced. */
function decide(
  changes: readonly Change[],
  host: HostView,
  context: ApplyOptions,
): { steps: Step[]; joins: Join[]; problems: string[] } {
  const steps: Step[] = [];
  const joins: Join[] = [];
  const problems: string[] = [];
  const observeNext = observeInTurn(host);
  const missing = new Set<string>();
  const knownIn = ledgersOf(context);
  for (const change of changes) {
    const { subject, to } = change;
    const { file, entries } = knownIn(change);
    const key = keyOf(subject);
    const { observed, isNew, problem } = observeNext(change);
    const isSo = isSatisfied(change, observed);
    const known = entries.get(key);
    const acquired = change.shared ? known : undefined;
    const before = { value: observed ?? null, index: host.link(subject.dev)?.index };
    const deferral = isSo ? undefined : kindOf(subject).deferral?.(subject, to, observed, host);
    if (problem !== undefined) {
      if (!context.keepGoing) throw new ActualnetError('DEVICE_MISSING', `${problem} (${change.why})`);
      problems.push(problem);
      missing.add(`${subject.kind} ${subject.dev}`);
    } else if (standsOnAny(missing, subject)) {
      // Without an entry a port that neither learns nor gets floods would cut the guest off.
    } else if (deferral !== undefined) {
      problems.push(deferral);
    } else if (acquired !== undefined && (change.byLibvirt || isSo)) {
      if (!acquired.users.includes(context.user)) joins.push({ file, key });
    } else if (isNew || !isSo) {
      steps.push({ change, before, known, file, command: change.byLibvirt ? undefined : commandFor(change) });
    } else if (!change.shared && known !== undefined && !isEqual(subject, known.to, to)) {
      // Somebody else has made it so since: what was wanted earlier must not be put back by a repair.
      steps.push({ change, before, known, file, command: undefined });
    }
  }
  return { steps, joins, problems };
}

/** The ledger that a change belongs to, each read once. */
function ledgersOf({ effects, ledger }: ApplyOptions) {
  const known = new Map<string, { readonly file: LedgerFile; readonly entries: ReturnType<typeof foldLedger> }>();
  return ({ subject, shared }: Change) => {
    const name = shared ? sharedNameOf(subject) : '';
    if (!known.has(name)) {
      const file = shared ? effects.sharedLedger(name) : ledger;
      known.set(name, { file, entries: foldLedger(file.read()) });
    }
    return known.get(name)!;
  };
}

function announce(steps: readonly Step[], joins: readonly Join[], { effects, user }: ApplyOptions): void {
  const at = timeOf(effects);
  for (const { file, key } of joins) file.append([{ at, join: key, user }]);
  for (const [file, own] of groupByFile(steps)) {
    file.append(own.map(({ change, before }) => intend(change, before, { at, user })));
  }
}

interface Acted {
  readonly failed: ReadonlyMap<Step, string>;
  /** The steps whose command was run and did not fail. */
  readonly ran: ReadonlySet<Step>;
}

/**
 * One process for each tool, in the order in which the plan first needs them: a port is plugged in before it gets VLANs,
 * and gets its entry before it stops learning.
 */
async function act(steps: readonly OwnStep[], { effects, keepGoing, owner, user }: ApplyOptions): Promise<Acted> {
  const failed = new Map<Step, string>();
  const ran = new Set<Step>();
  for (const tool of new Set(steps.map(({ command }) => command.tool))) {
    if (!keepGoing && [...failed.keys()].some(({ change }) => !change.optional)) break;
    const missing = new Set([...failed.keys()].map(({ change: { subject } }) => `${subject.kind} ${subject.dev}`));
    const own = steps.filter(({ command, change }) => command.tool === tool && !standsOnAny(missing, change.subject));
    const notes = own.map(({ change }) => ({ owner, user, what: describeDoing(change), why: change.why }));
    // One that may fail must not keep those behind it from being run.
    const goesOn = keepGoing || own.some(({ change }) => change.optional);
    const failures = new Map(
      (
        await effects.run(
          own.map(({ command }) => command),
          { keepGoing: goesOn, notes },
        )
      ).map(({ place, message }) => [place, message]),
    );
    const end = goesOn || failures.size === 0 ? own.length : Math.min(...failures.keys());
    own.forEach((step, place) => {
      const message = failures.get(place);
      if (message !== undefined) failed.set(step, message);
      // A batch line is run or not; binding a driver can end half-way.
      if (place < end ? message === undefined || tool === 'pci' : tool === 'pci' && place === end) ran.add(step);
    });
  }
  return { failed, ran };
}

/** Whether what a subject stands on, on the same device, is among those that could not be set. */
function standsOnAny(missing: ReadonlySet<string>, subject: Subject): boolean {
  const { standsOn } = kindOf(subject);
  return standsOn !== undefined && missing.has(`${standsOn} ${subject.dev}`);
}

/** A link that was made has its index only now. */
async function noteDone(steps: readonly Step[], { effects }: ApplyOptions): Promise<void> {
  if (steps.length === 0) return;
  const at = timeOf(effects);
  const made = steps.some(({ change: { subject } }) => subject.kind === 'link');
  const host = made ? await effects.view({}) : undefined;
  for (const [file, own] of groupByFile(steps)) {
    const done = own.map(({ change: { subject }, before }) => {
      const index = host === undefined ? before.index : host.link(subject.dev)?.index;
      return { key: keyOf(subject), ...(index !== undefined && { index }) };
    });
    file.append([{ at, done }]);
  }
}

function groupByFile(steps: readonly Step[]): ReadonlyMap<LedgerFile, readonly Step[]> {
  const groups = new Map<LedgerFile, Step[]>();
  for (const step of steps) groups.set(step.file, [...(groups.get(step.file) ?? []), step]);
  return groups;
}
