import { spawn } from 'node:child_process';

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
 * possible and otherwise left to itself: it shares no stream with us, so nobody waits for it.
 */
export function runAbandonable(
  file: string,
  words: readonly string[],
  { input = '', limitMs }: { readonly input?: string; readonly limitMs: number },
): Promise<Ended> {
  return new Promise(resolve => {
    const child = spawn(file, words, { stdio: 'pipe', detached: true, cwd: '/', env: { ...process.env, LC_ALL: 'C' } });
    let stdout = '';
    let stderr = '';
    const end = (status: number | null, abandoned: boolean, complaint = stderr.trim().split('\n').at(-1) ?? '') => {
      clearTimeout(timer);
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      child.unref();
      resolve({ abandoned, status, stdout, complaint });
    };
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      end(null, true);
    }, limitMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.on('error', () => {});
    child.on('error', error => end(null, false, error.message));
    child.on('close', status => end(status, false));
    child.stdin.end(input);
  });
}
