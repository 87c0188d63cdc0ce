import { type Change, describeChange, keyOf, type Value } from '../plan/change.ts';
import { type Command, commandFor } from '../plan/command.ts';
import { type HostView, isSame, observe } from '../plan/host-view.ts';
import { ActualnetError } from '../report/error.ts';
import type { Effects, LedgerFile } from './effects.ts';
import { foldLedger, intend } from './ledger.ts';
import { undoTogether } from './undo.ts';

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

interface Step {
  readonly change: Change;
  readonly before: Value;
  readonly file: LedgerFile;
}

/**
 * Carries changes out: observes, skips what is so already, writes the state before into the ledger, acts in at most one
 * `ip` and one `bridge` process, notes what was done. Answers one line for each thing that could not be done.
 */
export async function carryOut(changes: readonly Change[], applying: Applying): Promise<string[]> {
  const { effects, ledger, user, inspect } = applying;
  if (changes.length === 0 && inspect === undefined) return [];
  const shared = [...new Set(changes.filter(change => change.shared).map(({ subject }) => subject.dev))];
  const unlock = await effects.lock([user]);
  const unlockShared = await effects.lock(shared).catch(error => {
    unlock();
    throw error;
  });
  try {
    const needs = needsOf(changes);
    const host = await effects.view({ ...needs, fdb: needs.fdb || inspect !== undefined });
    inspect?.(host);
    const files = new Map(shared.map(dev => [dev, effects.sharedLedger(dev)]));
    const fileOf = (change: Change) => (change.shared ? files.get(change.subject.dev)! : ledger);
    const { steps, problems } = decide(changes, host, { ...applying, fileOf });
    announce(steps, applying);
    const acted = steps.filter(({ change }) => !change.byLibvirt);
    // What is shared is there already: a slow guest need not keep the others waiting for it.
    if (!acted.some(({ change }) => change.shared)) unlockShared();
    const failed = await act(acted, applying);
    if (failed.size > 0 && !applying.keepGoing) throw await rollBack(steps, failed, applying);
    await noteDone(
      acted.filter(step => !failed.has(step)),
      applying,
    );
    return [...problems, ...[...failed].map(([{ change }, message]) => `${describeChange(change)}: ${message}`)];
  } finally {
    unlockShared();
    unlock();
  }
}

/** Which tables of the host have to be read to observe these subjects. */
export function needsOf(subjects: readonly Pick<Change, 'subject'>[]): { fdb: boolean; vlans: boolean } {
  const has = (kind: string) => subjects.some(({ subject }) => subject.kind === kind);
  return { fdb: has('fdb'), vlans: has('vlan') };
}

function decide(
  changes: readonly Change[],
  host: HostView,
  context: Applying & { fileOf: (change: Change) => LedgerFile },
): { steps: Step[]; problems: string[] } {
  const steps: Step[] = [];
  const problems: string[] = [];
  const made = new Set<string>();
  const at = timeOf(context.effects);
  for (const change of changes) {
    const { subject, to } = change;
    const file = context.fileOf(change);
    const observed = made.has(subject.dev) ? null : observe(subject, host);
    const problem = findProblem(change, observed, host);
    if (problem !== undefined) {
      if (!context.keepGoing)
        throw new ActualnetError('DEVICE_MISSING', `${context.owner}: ${problem} (${change.why})`);
      problems.push(problem);
    } else if (!made.has(subject.dev) && isSame(observed, to)) {
      const key = keyOf(subject);
      const entry = change.shared ? foldLedger(file.read()).get(key) : undefined;
      if (entry && !entry.users.includes(context.user)) file.append([{ at, join: key, user: context.user }]);
    } else {
      if (subject.kind === 'link' && to !== null) made.add(subject.dev);
      steps.push({ change, before: observed ?? null, file });
    }
  }
  return { steps, problems };
}

function findProblem({ subject, to }: Change, observed: Value | undefined, host: HostView): string | undefined {
  if (observed === undefined) return `there is no device '${subject.dev}'`;
  if (subject.kind !== 'fdb' || subject.table !== 'bridge' || to !== true) return undefined;
  const bridge = host.link(subject.dev)?.master;
  const taken = host.fdb.find(
    ({ mac, dev, table, fixed }) =>
      mac === subject.mac && dev !== subject.dev && table === 'bridge' && fixed && host.link(dev)?.master === bridge,
  );
  return taken && `${subject.mac} has a fixed entry on '${taken.dev}' already`;
}

function announce(steps: readonly Step[], { effects, user }: Applying): void {
  const at = timeOf(effects);
  for (const [file, own] of groupByFile(steps)) {
    file.append(own.map(({ change, before }) => intend(change, before, { at, user })));
  }
}

/** First all `ip` commands, then all `bridge` commands: a port must be in its bridge before it gets entries. */
async function act(steps: readonly Step[], { effects, keepGoing }: Applying): Promise<ReadonlyMap<Step, string>> {
  const failed = new Map<Step, string>();
  const commands = steps.map(step => ({ step, command: commandFor(step.change) }));
  for (const tool of ['ip', 'bridge'] as const) {
    const own = commands.filter(({ command }) => command.tool === tool);
    if (own.length === 0 || (failed.size > 0 && !keepGoing)) continue;
    const failures = await effects.run(tool, linesOf(own), { keepGoing });
    for (const { place, message } of failures) failed.set(own[place]!.step, message);
  }
  return failed;
}

async function rollBack(
  steps: readonly Step[],
  failed: ReadonlyMap<Step, string>,
  applying: Applying,
): Promise<ActualnetError> {
  const undoings = [...groupByFile(steps)].flatMap(([file, own]) => {
    const entries = foldLedger(file.read());
    const touched = own.flatMap(({ change }) => entries.get(keyOf(change.subject)) ?? []);
    return touched.filter(({ users }) => users.length <= 1).map(entry => ({ entry, file }));
  });
  const { problems: left } = await undoTogether(undoings, applying.effects);
  const [{ change }, message] = [...failed][0]!;
  const leftovers = left.length === 0 ? '' : `; left behind: ${left.join(', ')}`;
  return new ActualnetError(
    'ACTION_FAILED',
    `${applying.owner}: cannot ${describeChange(change)} (${change.why}): ${message}${leftovers}`,
  );
}

async function noteDone(steps: readonly Step[], { effects }: Applying): Promise<void> {
  if (steps.length === 0) return;
  const at = timeOf(effects);
  const makesLinks = steps.some(({ change }) => change.subject.kind === 'link');
  const host = makesLinks ? await effects.view({ fdb: false, vlans: false }) : undefined;
  for (const [file, own] of groupByFile(steps)) {
    const done = own.map(({ change: { subject } }) => {
      const index = subject.kind === 'link' ? host?.link(subject.dev)?.index : undefined;
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

function linesOf(commands: readonly { command: Command }[]): string[] {
  return commands.map(({ command }) => command.line);
}

export function timeOf({ now }: Pick<Effects, 'now'>): string {
  return new Date(now()).toISOString();
}
