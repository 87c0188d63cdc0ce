import { type Change, describeChange, keyOf, type Value } from '../plan/change.ts';
import { type Command, commandFor, tools } from '../plan/command.ts';
import { ActualnetError } from '../report/error.ts';
import type { Effects, LedgerFile } from './effects.ts';
import { compactLines, foldLedger, type LedgerEntry } from './ledger.ts';
import { closeEntries, undoTogether } from './undo.ts';

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
 * earlier call had in force already goes back to how this one found it, and stays in the ledger.
 */
export async function rollBack(
  steps: readonly Step[],
  ran: ReadonlySet<Step>,
  { error, owner, user, effects }: { error: ActualnetError; owner: string; user: string; effects: Effects },
): Promise<ActualnetError> {
  // What others need by now stays as they need it.
  const isOurs = ({ file, change }: Step) =>
    foldLedger(file.read())
      .get(keyOf(change.subject))
      ?.users.every(each => each === user) ?? true;
  const problems = await goBack(steps.filter(isOurs), ran, effects);
  const undoings = steps.flatMap(step => {
    const entry = foldLedger(step.file.read()).get(keyOf(step.change.subject));
    // Others that joined need it as it is.
    return step.known || entry === undefined || entry.users.length > 1 ? [] : [{ entry, file: step.file, step }];
  });
  closeEntries(
    undoings.filter(({ step }) => !ran.has(step)),
    effects,
  );
  const undone = await undoTogether(
    undoings.filter(({ step }) => ran.has(step)),
    effects,
  );
  problems.push(...undone.problems);
  const leftovers = problems.length === 0 ? '' : `; left behind: ${problems.join(', ')}`;
  return new ActualnetError(error.code, `${owner}: ${error.message}${leftovers}`, { hint: error.hint, cause: error });
}

/** For what was in force before this call: the host first, so that a kill in between leaves it ours. */
async function goBack(steps: readonly Step[], ran: ReadonlySet<Step>, effects: Effects): Promise<string[]> {
  const problems: string[] = [];
  const again = steps.filter(({ known }) => known !== undefined);
  for (const tool of tools) {
    const own = [...again].reverse().flatMap(step => {
      const change = { subject: step.change.subject, to: step.before.value };
      return ran.has(step) && step.command?.tool === tool ? { change, line: commandFor(change).line } : [];
    });
    if (own.length === 0) continue;
    const lines = own.map(({ line }) => line);
    for (const { place, message } of await effects.run(tool, lines, { keepGoing: true }))
      problems.push(`${describeChange(own[place]!.change)}: ${message}`);
  }
  for (const { file, known } of again) file.append(compactLines([known!]));
  return problems;
}

/**
 * What failed, and does not end the call: nothing of it is in force, only what was before. Binding a driver can end half-way,
 * and stays to be undone.
 */
export function forget(steps: readonly Step[], effects: Effects): void {
  const failed = steps.filter(({ command }) => command?.tool !== 'pci');
  for (const { file, known } of failed) if (known !== undefined) file.append(compactLines([known]));
  const undoings = failed.flatMap(({ change, known, file }) => {
    const entry = foldLedger(file.read()).get(keyOf(change.subject));
    return known === undefined && entry !== undefined ? [{ entry, file }] : [];
  });
  closeEntries(undoings, effects);
}
