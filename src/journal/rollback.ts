import { type Command, tools, type Value } from '../kernel/kind.ts';
import { type Change, commandFor, describeChange, describeDoing, keyOf } from '../kernel/registry.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import type { Effects, LedgerFile } from './effects.ts';
import { compactLines, type LedgerEntry } from './ledger.ts';
import { tryEntriesOf } from './ledgers.ts';
import { closeEntries, runAll, undoTogether } from './undo.ts';

/** A change that is being carried out. */
export interface Step {
  readonly change: Change;
  readonly before: { readonly value: Value; readonly index: number | undefined };
  /** What the ledger holds of it from an earlier call. */
  readonly known: LedgerEntry | undefined;
  readonly file: LedgerFile;
  /** None for what libvirt does. */
  readonly command: Command | undefined;
}

/**
 * Undoes what was run, forgets what was only announced, and answers the error with what could not be undone. What an
 * earlier call had applied already goes back to how this one found it, and stays in the ledger.
 */
export async function rollBack(
  steps: readonly Step[],
  ran: ReadonlySet<Step>,
  { error, owner, user, effects }: { error: ActualnetError; owner: string; user: string; effects: Effects },
): Promise<ActualnetError> {
  // What others need by now stays as they need it.
  const isOurs = (step: Step) => entryOf(step)?.users.every(each => each === user) ?? true;
  const problems: string[] = [];
  const entryOf = entryFinder(problems);
  problems.push(...(await goBack(steps.filter(isOurs), ran, effects)));
  const undoings = steps.flatMap(step => {
    const entry = entryOf(step);
    // Others that joined need it as it is.
    return step.known || entry === undefined || entry.users.length > 1 ? [] : [{ entry, file: step.file, step }];
  });
  problems.push(
    ...closeEntries(
      undoings.filter(({ step }) => !ran.has(step)),
      effects,
    ),
  );
  const undone = await undoTogether(
    undoings.filter(({ step }) => ran.has(step)),
    effects,
  );
  problems.push(...undone.problems);
  const leftovers = problems.length === 0 ? '' : `; left behind: ${problems.join(', ')}`;
  return new ActualnetError(error.code, `${error.message}${leftovers}`, { owner, hint: error.hint, cause: error });
}

/** For what was applied before this call: the host first, so that a kill in between leaves it ours. */
async function goBack(steps: readonly Step[], ran: ReadonlySet<Step>, effects: Effects): Promise<string[]> {
  const problems: string[] = [];
  const again = steps.filter(({ known }) => known !== undefined);
  for (const tool of tools) {
    const own = [...again].reverse().flatMap(step => {
      const change = { subject: step.change.subject, to: step.before.value };
      return ran.has(step) && step.command?.tool === tool
        ? { change, command: commandFor(change), user: step.file.user }
        : [];
    });
    if (own.length === 0) continue;
    const commands = own.map(({ command }) => command);
    const notes = own.map(({ change, user }) => ({
      ...(user !== undefined && { user }),
      what: describeDoing(change),
      why: 'as it was before this call',
    }));
    for (const { place, message } of await runAll(commands, effects, notes))
      problems.push(`${describeChange(own[place]!.change)}: ${message}`);
  }
  for (const { file, known, change } of again) {
    try {
      file.append(compactLines([known!]));
    } catch (error) {
      problems.push(`${describeChange(change)}: ${asActualnetError(error).message}`);
    }
  }
  return problems;
}

/** Finds what the ledgers hold of steps: each ledger is read once, and one that cannot be read is told of. */
function entryFinder(problems: string[]): (step: Step) => LedgerEntry | undefined {
  const known = new Map<LedgerFile, readonly LedgerEntry[]>();
  return ({ file, change }) => {
    if (!known.has(file)) {
      const { entries, problem } = tryEntriesOf(file);
      if (problem !== undefined) problems.push(problem);
      known.set(file, entries);
    }
    const key = keyOf(change.subject);
    return known.get(file)!.find(entry => entry.key === key);
  };
}

/**
 * What failed, and does not end the call: nothing of it is applied, only what was before. Binding a driver can end half-way,
 * and stays to be undone.
 */
export function forget(steps: readonly Step[], effects: Effects): void {
  const failed = steps.filter(({ command }) => command?.tool !== 'pci');
  for (const { file, known } of failed) if (known !== undefined) file.append(compactLines([known]));
  const entryOf = entryFinder([]);
  const undoings = failed.flatMap(step => {
    const entry = step.known === undefined ? entryOf(step) : undefined;
    return entry === undefined ? [] : [{ entry, file: step.file }];
  });
  closeEntries(undoings, effects);
}
