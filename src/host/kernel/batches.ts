import type { CommandFailure } from '../../journal/effects.ts';
import { ActualnetError } from '../../report/error.ts';
import { type BoundedProcess, startBounded } from '../process/bounded.ts';
import { hintToRun } from '../process/not-run.ts';
import { Patience } from '../process/patience.ts';

/** How long one process may take, in milliseconds: removing a link alone takes the kernel some 25. The launcher's limit is above. */
function limitFor(lines: readonly string[]): number {
  return Math.min(5000 + 50 * lines.length, 15_000);
}

/** Starts a tool, or answers one that is running already. */
export type StartTool = (tool: string, words: readonly string[]) => BoundedProcess;

/** How the tools are run in which plans are carried out and hosts are looked at. */
export interface Batches {
  /**
   * Runs lines as one `ip -batch` or `bridge -batch`, which stops at the first that fails unless told to keep going.
   * Answers the lines that failed by their place, counted from 0, each with the tool's own words.
   */
  readonly runBatch: (
    tool: 'ip' | 'bridge',
    lines: readonly string[],
    options: { readonly keepGoing: boolean },
  ) => Promise<CommandFailure[]>;
  /** Runs one reading command for each line, and answers the JSON each printed. */
  readonly readBatch: (tool: 'ip' | 'bridge', lines: readonly string[]) => Promise<unknown[]>;
}

/** Batches in processes that `start` provides, for somebody who has `patience`. */
export function batchesIn(start: StartTool, patience = new Patience(Number.POSITIVE_INFINITY)): Batches {
  return {
    async runBatch(tool, lines, { keepGoing }) {
      const words = [...(keepGoing ? ['-force'] : []), '-batch', '-'];
      const { exitCode, stderr, failed } = await run({ start, patience }, tool, words, lines);
      if (!failed) return [];
      const failures = readFailures(stderr);
      if (failures.length > 0) return failures;
      const why = stderr.trim().split('\n').at(-1) || `exit status ${exitCode}`;
      throw new ActualnetError('ACTION_FAILED', `${tool} ${words.join(' ')}: ${why}`);
    },
    async readBatch(tool, lines) {
      const { stdout, stderr, failed } = await run({ start, patience }, tool, ['-j', '-batch', '-'], lines);
      if (failed) {
        const why = stderr.trim().split('\n')[0];
        throw new ActualnetError('ACTION_FAILED', `${tool} -j -batch -: cannot read '${lines.join("', '")}': ${why}`);
      }
      return stdout.split('\n').flatMap(line => (line.trim() === '' ? [] : [JSON.parse(line)]));
    },
  };
}

/** Starts the tool now; who ends us by our group ends it as well. */
export function startTool(tool: string, words: readonly string[]): BoundedProcess {
  return startBounded(tool, words, { detached: false });
}

export const ownBatches = batchesIn(startTool);

/** A message, then `Command failed -:LINE`; several of both with `-force`. */
function readFailures(stderr: string): CommandFailure[] {
  const failures: CommandFailure[] = [];
  let message: string[] = [];
  for (const line of stderr.split('\n')) {
    const place = /^Command failed -:(\d+)$/.exec(line)?.[1];
    if (place === undefined) {
      if (line.trim() !== '') message.push(line.trim());
      continue;
    }
    failures.push({ place: Number(place) - 1, message: message.join(', ') || 'it failed' });
    message = [];
  }
  return failures;
}

async function run(
  { start, patience }: { readonly start: StartTool; readonly patience: Patience },
  tool: string,
  words: readonly string[],
  lines: readonly string[],
) {
  const child = start(tool, words);
  child.feed(`${lines.join('\n')}\n`);
  const wait = { what: `'${tool}'`, limitMs: limitFor(lines) };
  const { timedOut, status, stdout, stderr, complaint } = await patience.wait(child.ended, wait).catch(error => {
    child.giveUp();
    throw error;
  });
  if (timedOut) throw new ActualnetError('ACTION_FAILED', `'${tool}' did not end, and was left to itself`);
  if (status === null) {
    const hint = hintToRun(tool, 'iproute2');
    throw new ActualnetError('ACTION_FAILED', `'${tool}' could not be run: ${complaint}`, { hint });
  }
  return { failed: status !== 0, exitCode: status, stdout, stderr };
}
