import { type Change, describeChange, describeDoing, isVfSubject, keyOf, sharedNameOf } from '../plan/change.ts';
import { type Command, commandFor } from '../plan/command.ts';
import { type HostView, isSame, type Needs } from '../plan/host-view.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import type { Effects, LedgerFile } from './effects.ts';
import { isMet, observeInTurn } from './in-turn.ts';
import { foldLedger, intend } from './ledger.ts';
import { forget, rollBack, type Step } from './roll-back.ts';
import { hindranceFor } from './verdict.ts';

export interface Applying {
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
export async function carryOut(changes: readonly Change[], applying: Applying): Promise<string[]> {
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
  applying: Applying & { readonly inspects?: boolean },
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

/** Which tables of the host have to be read to observe these subjects. */
export function needsOf(changes: readonly Pick<Change, 'subject'>[]): Needs {
  const subjects = changes.map(({ subject }) => subject);
  const has = (kind: string) => subjects.some(subject => subject.kind === kind);
  return {
    fdb: has('fdb'),
    vlans: has('vlan'),
    vfs: subjects.filter(isVfSubject).map(({ dev }) => dev),
    drivers: subjects.flatMap(subject => (subject.kind === 'driver' ? subject.dev : [])),
  };
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
  context: Applying,
): { steps: Step[]; joins: Join[]; problems: string[] } {
  const steps: Step[] = [];
  const joins: Join[] = [];
  const problems: string[] = [];
  const observeNext = observeInTurn(host);
  const sealed = new Set<string>();
  const knownIn = ledgersOf(context);
  for (const change of changes) {
    const { subject, to } = change;
    const { file, entries } = knownIn(change);
    const key = keyOf(subject);
    const { observed, isNew, problem } = observeNext(change);
    const known = entries.get(key);
    const entry = change.shared ? known : undefined;
    const before = { value: observed ?? null, index: host.link(subject.dev)?.index };
    if (problem !== undefined) {
      if (!context.keepGoing) throw new ActualnetError('DEVICE_MISSING', `${problem} (${change.why})`);
      problems.push(problem);
      if (subject.kind === 'fdb') sealed.add(subject.dev);
    } else if (sealed.has(subject.dev) && (subject.kind === 'learning' || subject.kind === 'flood')) {
      // Without an entry a port that neither learns nor gets floods would cut the guest off.
    } else if (subject.kind === 'vfs' && !isMet(change, observed) && hindranceFor(subject, host)) {
      const why = hindranceFor(subject, host);
      problems.push(
        `there are only ${observed} VFs on '${subject.dev}' instead of ${to}, and more cannot be made now: ${why}`,
      );
    } else if (entry !== undefined && (change.byLibvirt || isMet(change, observed))) {
      if (!entry.users.includes(context.user)) joins.push({ file, key });
    } else if (isNew || !isMet(change, observed)) {
      steps.push({ change, before, known, file, command: change.byLibvirt ? undefined : commandFor(change) });
    } else if (!change.shared && known !== undefined && !isSame(known.to, to)) {
      // Somebody else has made it so since: what was wanted earlier must not be put back by a repair.
      steps.push({ change, before, known, file, command: undefined });
    }
  }
  return { steps, joins, problems };
}

/** The ledger that a change belongs to, each read once. */
function ledgersOf({ effects, ledger }: Applying) {
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

function announce(steps: readonly Step[], joins: readonly Join[], { effects, user }: Applying): void {
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
async function act(steps: readonly OwnStep[], { effects, keepGoing, owner, user }: Applying): Promise<Acted> {
  const failed = new Map<Step, string>();
  const ran = new Set<Step>();
  for (const tool of new Set(steps.map(({ command }) => command.tool))) {
    if (!keepGoing && [...failed.keys()].some(({ change }) => !change.optional)) break;
    const sealed = new Set(
      [...failed.keys()].map(({ change }) => change.subject).flatMap(({ kind, dev }) => (kind === 'fdb' ? dev : [])),
    );
    const own = steps.filter(({ command, change: { subject } }) => {
      return (
        command.tool === tool && !(sealed.has(subject.dev) && (subject.kind === 'learning' || subject.kind === 'flood'))
      );
    });
    const lines = own.map(({ command }) => command.line);
    const notes = own.map(({ change }) => ({ owner, user, what: describeDoing(change), why: change.why }));
    // One that may fail must not keep those behind it from being run.
    const goesOn = keepGoing || own.some(({ change }) => change.optional);
    const failures = new Map(
      (await effects.run(tool, lines, { keepGoing: goesOn, notes })).map(({ place, message }) => [place, message]),
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

async function noteDone(steps: readonly Step[], { effects }: Applying): Promise<void> {
  if (steps.length === 0) return;
  const at = timeOf(effects);
  const host = await effects.view({});
  for (const [file, own] of groupByFile(steps)) {
    const done = own.map(({ change: { subject } }) => {
      const index = host.link(subject.dev)?.index;
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

export function timeOf({ now }: Pick<Effects, 'now'>): string {
  return new Date(now()).toISOString();
}
