import { type Change, describeChange, isVfSubject, keyOf, sharedNameOf, type Value } from '../plan/change.ts';
import { type Command, commandFor } from '../plan/command.ts';
import { type HostView, isSame, type Needs, observe } from '../plan/host-view.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import type { Effects, LedgerFile } from './effects.ts';
import { foldLedger, intend, type LedgerEntry } from './ledger.ts';
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
  /** Also looks at the host, tables included, as it is before anything is changed. */
  readonly inspect?: (host: HostView) => void;
}

/**
 * Carries changes out: observes, skips what is so already, writes the state before into the ledger, acts in at most one
 * `ip` and one `bridge` process, notes what was done. Answers one line for each thing that could not be done.
 */
export async function carryOut(changes: readonly Change[], applying: Applying): Promise<string[]> {
  const { effects, ledger, user, inspect } = applying;
  if (changes.length === 0 && inspect === undefined) return [];
  const shared = [...new Set(changes.filter(change => change.shared).map(({ subject }) => sharedNameOf(subject)))];
  const unlock = await effects.lock([user]);
  const unlockShared = await effects.lock(shared).catch(error => {
    unlock();
    throw error;
  });
  try {
    const needs = needsOf(changes);
    const host = await effects.view({ ...needs, fdb: needs.fdb === true || inspect !== undefined });
    inspect?.(host);
    const files = new Map(shared.map(name => [name, effects.sharedLedger(name)]));
    const fileOf = (change: Change) => (change.shared ? files.get(sharedNameOf(change.subject))! : ledger);
    const { steps, joins, problems } = decide(changes, host, { ...applying, fileOf });
    announce(steps, joins, applying);
    // What is shared is there already: a slow guest need not keep the others waiting for it.
    if (!steps.some(({ change }) => change.shared)) unlockShared();
    const acted = steps.filter(isOurs);
    const { failed, ran } = await act(acted, applying).catch(async error => {
      throw applying.keepGoing
        ? error
        : await rollBack(steps, new Set(acted), { error: asActualnetError(error), ...applying });
    });
    const first = [...failed].find(([{ change }]) => !change.optional);
    if (first !== undefined && !applying.keepGoing) {
      const [{ change }, message] = first;
      const error = new ActualnetError('ACTION_FAILED', `cannot ${describeChange(change)} (${change.why}): ${message}`);
      throw await rollBack(steps, ran, { error, ...applying });
    }
    forget([...failed.keys()], effects);
    await noteDone([...ran], applying);
    return [...problems, ...[...failed].map(([{ change }, message]) => `${describeChange(change)}: ${message}`)];
  } finally {
    unlockShared();
    unlock();
  }
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
  context: Applying & { fileOf: (change: Change) => LedgerFile },
): { steps: Step[]; joins: Join[]; problems: string[] } {
  const steps: Step[] = [];
  const joins: Join[] = [];
  const problems: string[] = [];
  const made = new Set<string>();
  const sealed = new Set<string>();
  const ledgers = new Map<LedgerFile, ReadonlyMap<string, LedgerEntry>>();
  const knownOf = (file: LedgerFile, key: string) => {
    if (!ledgers.has(file)) ledgers.set(file, foldLedger(file.read()));
    return ledgers.get(file)!.get(key);
  };
  for (const change of changes) {
    const { subject, to } = change;
    const file = context.fileOf(change);
    const key = keyOf(subject);
    const observed = made.has(subject.dev) ? null : observe(subject, host);
    const problem = findProblem(change, observed, host);
    const known = knownOf(file, key);
    const entry = change.shared ? known : undefined;
    if (problem !== undefined) {
      const error = new ActualnetError('DEVICE_MISSING', `${context.owner}: ${problem} (${change.why})`);
      if (!context.keepGoing) throw error;
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
    } else if (made.has(subject.dev) || !isMet(change, observed)) {
      if (subject.kind === 'link' && to !== null) made.add(subject.dev);
      const before = { value: observed ?? null, index: host.link(subject.dev)?.index };
      steps.push({ change, before, known, file, command: change.byLibvirt ? undefined : commandFor(change) });
    } else if (!change.shared && known !== undefined && !isSame(known.to, to)) {
      // Somebody else has made it so since: what was wanted earlier must not be put back by a repair.
      const before = { value: observed ?? null, index: host.link(subject.dev)?.index };
      steps.push({ change, before, known, file, command: undefined });
    }
  }
  return { steps, joins, problems };
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

function findProblem({ subject, to }: Change, observed: Value | undefined, host: HostView): string | undefined {
  if (observed === undefined)
    return isVfSubject(subject)
      ? `there is no VF ${subject.vf} of '${subject.dev}'`
      : `there is no device '${subject.dev}'`;
  if (subject.kind !== 'fdb' || subject.table !== 'bridge' || to !== true) return undefined;
  const bridge = host.link(subject.dev)?.master;
  const taken = host.fdb.find(
    ({ mac, dev, table, fixed }) =>
      mac === subject.mac && dev !== subject.dev && table === 'bridge' && fixed && host.link(dev)?.master === bridge,
  );
  return taken && `${subject.mac} has a fixed entry on '${taken.dev}' already`;
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
async function act(steps: readonly OwnStep[], { effects, keepGoing }: Applying): Promise<Acted> {
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
    // One that may fail must not keep those behind it from being run.
    const goesOn = keepGoing || own.some(({ change }) => change.optional);
    const failures = new Map(
      (await effects.run(tool, lines, { keepGoing: goesOn })).map(({ place, message }) => [place, message]),
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
