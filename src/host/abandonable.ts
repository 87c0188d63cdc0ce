import { spawn } from 'node:child_process';
import { whyNotRun } from './not-run.ts';

/** What a process printed; `abandoned` if it did not end in time. */
export interface Ended {
  readonly abandoned: boolean;
  readonly status: number | null;
  readonly stdout: string;
  /** The last line it wrote to stderr, or why it could not be run. */
  readonly complaint: string;
}

/**
 * Runs a program that may wait in the kernel where not even SIGKILL reaches it. After `limitMs` it is killed if that is
 * possible and otherwise left to itself: it shares no stream with us, so nobody waits for it. The same when `signal` says so.
 */
export function runAbandonable(
  file: string,
  words: readonly string[],
  { input = '', limitMs, signal }: { readonly input?: string; readonly limitMs: number; readonly signal?: AbortSignal },
): Promise<Ended> {
  return new Promise(resolve => {
    const child = spawn(file, words, { stdio: 'pipe', detached: true, cwd: '/', env: { ...process.env, LC_ALL: 'C' } });
    let stdout = '';
    let stderr = '';
    const end = (status: number | null, abandoned: boolean, complaint = stderr.trim().split('\n').at(-1) ?? '') => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abandon);
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      child.unref();
      resolve({ abandoned, status, stdout, complaint });
    };
    const abandon = () => {
      child.kill('SIGKILL');
      end(null, true);
    };
    const timer = setTimeout(abandon, limitMs);
    if (signal?.aborted) abandon();
    signal?.addEventListener('abort', abandon, { once: true });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.on('error', () => {});
    child.on('error', error => end(null, false, whyNotRun(file, error.message)));
    child.on('close', status => end(status, false));
    child.stdin.end(input);
  });
}
