import type { CommandFailure } from '../apply/effects.ts';
import { ActualnetError } from '../report/error.ts';

/** How long one process may take, in milliseconds: removing a link alone takes the kernel some 25. The launcher's limit is above. */
function limitFor(lines: readonly string[]): number {
  return Math.min(5000 + 50 * lines.length, 15_000);
}

/**
 * Runs lines as one `ip -batch` or `bridge -batch`, which stops at the first that fails unless told to keep going.
 * Answers the lines that failed by their place, counted from 0, each with the tool's own words.
 */
export async function runBatch(
  tool: 'ip' | 'bridge',
  lines: readonly string[],
  { keepGoing }: { keepGoing: boolean },
): Promise<CommandFailure[]> {
  const words = [...(keepGoing ? ['-force'] : []), '-batch', '-'];
  const { exitCode, stderr, failed } = await run(tool, words, lines);
  if (!failed) return [];
  const failures = readFailures(stderr);
  if (failures.length > 0) return failures;
  const why = stderr.trim().split('\n').at(-1) || `exit status ${exitCode}`;
  throw new ActualnetError('ACTION_FAILED', `${tool} ${words.join(' ')}: ${why}`);
}

/** Runs one reading command for each line, and answers the JSON each printed. */
export async function readBatch(tool: 'ip' | 'bridge', lines: readonly string[]): Promise<unknown[]> {
  const { stdout, stderr, failed } = await run(tool, ['-j', '-batch', '-'], lines);
  if (failed) {
    const why = stderr.trim().split('\n')[0];
    throw new ActualnetError('ACTION_FAILED', `${tool} -j -batch -: cannot read '${lines.join("', '")}': ${why}`);
  }
  return stdout.split('\n').flatMap(line => (line.trim() === '' ? [] : [JSON.parse(line)]));
}

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

async function run(tool: string, words: readonly string[], lines: readonly string[]) {
  const timeout = limitFor(lines);
  // Loaded here: a call that changes nothing on the host need not wait for it.
  const { execa } = await import('execa');
  const result = await execa(tool, words, {
    input: `${lines.join('\n')}\n`,
    timeout,
    forceKillAfterDelay: 500,
    reject: false,
    maxBuffer: 64 * 1024 * 1024,
    env: { LC_ALL: 'C' },
  });
  if (result.timedOut) throw new ActualnetError('ACTION_FAILED', `'${tool}' did not finish within ${timeout / 1000} s`);
  if (result.exitCode === undefined) {
    throw new ActualnetError('ACTION_FAILED', `'${tool}' could not be run: ${result.shortMessage}`, {
      hint: 'install iproute2',
    });
  }
  return result;
}
