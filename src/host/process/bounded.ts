import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { whyNotRun } from './not-run.ts';

/** What a process printed; `timedOut` if it did not end in time. */
export interface Ended {
  readonly timedOut: boolean;
  /** Null if it could not be run, or was killed. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line it wrote to stderr, or why it could not be run. */
  readonly complaint: string;
}

/** A process that nobody has to wait for. */
export interface BoundedProcess {
  /** It has neither ended nor been timedOut. */
  readonly isRunning: () => boolean;
  /** Gives it all of its stdin. */
  readonly feed: (text: string) => void;
  /** Kills it if that is possible, and leaves it to itself otherwise: `ended` resolves at once. */
  readonly giveUp: () => void;
  readonly ended: Promise<Ended>;
}

/** What one process may print. */
const maxBytes = 64 * 1024 * 1024;

/**
 * Starts a program that may wait in the kernel where not even SIGKILL reaches it. Once it is timedOut it shares nothing with
 * us: neither streams nor, since descriptors are closed at an exec, a lock; only `inherited` ones are its own, from 3 on.
 */
export function startBounded(
  file: string,
  words: readonly string[],
  { inherited = [], detached = true }: { readonly inherited?: readonly number[]; readonly detached?: boolean } = {},
): BoundedProcess {
  const stdio: StdioOptions = ['pipe', 'pipe', 'pipe', ...inherited];
  let child: ChildProcess | undefined;
  let running = true;
  let giveUp = () => {};
  const ended = new Promise<Ended>(resolve => {
    const printed = { stdout: '', stderr: '' };
    const end = (status: number | null, { timedOut = false, why }: { timedOut?: boolean; why?: string } = {}) => {
      if (!running) return;
      running = false;
      // Without a process there may be no streams either.
      for (const stream of [child?.stdin, child?.stdout, child?.stderr]) stream?.destroy();
      child?.unref();
      resolve({ timedOut, status, ...printed, complaint: why ?? printed.stderr.trim().split('\n').at(-1) ?? '' });
    };
    giveUp = () => {
      child?.kill('SIGKILL');
      end(null, { timedOut: true });
    };
    const keep = (name: 'stdout' | 'stderr') =>
      child?.[name]?.setEncoding('utf8').on('data', (text: string) => {
        printed[name] += text;
        if (printed[name].length <= maxBytes) return;
        child?.kill('SIGKILL');
        end(null, { why: `it printed more than ${maxBytes} bytes` });
      });
    try {
      child = spawn(file, words, { stdio, detached, cwd: '/', env: { ...process.env, LC_ALL: 'C' } });
      keep('stdout');
      keep('stderr');
      // One that cannot take its lines ends, and its end says why.
      child.stdin?.on('error', () => {});
      child.on('error', error => end(null, { why: whyNotRun(file, error.message) }));
      child.on('close', status => end(status));
    } catch (error) {
      end(null, { why: (error as Error).message });
    }
  });
  return {
    isRunning: () => running && child?.exitCode === null && child.signalCode === null,
    feed: text => child?.stdin?.end(text),
    giveUp,
    ended,
  };
}

/** Runs a program to its end; it is timedOut after `limitMs`, or when `signal` says so. */
export async function runBounded(
  file: string,
  words: readonly string[],
  { input = '', limitMs, signal }: { readonly input?: string; readonly limitMs: number; readonly signal?: AbortSignal },
): Promise<Omit<Ended, 'stderr'>> {
  const { stderr: _, ...ended } = await endOf(startBounded(file, words), { input, limitMs, signal });
  return ended;
}

/** Feeds a process and waits for its end, within the same bounds. */
export async function endOf(
  { feed, giveUp, ended }: BoundedProcess,
  {
    input,
    limitMs,
    signal,
  }: { readonly input: string; readonly limitMs: number; readonly signal?: AbortSignal | undefined },
): Promise<Ended> {
  const timer = setTimeout(giveUp, limitMs);
  if (signal?.aborted) giveUp();
  signal?.addEventListener('abort', giveUp, { once: true });
  feed(input);
  try {
    return await ended;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}
