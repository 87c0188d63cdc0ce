import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const words = ['--connect', 'qemu:///system', '--keepalive-interval', '5', '--keepalive-count', '3'];
const eventWords = ['event', '--event', 'lifecycle', '--loop', '--timestamp'];
/** Between two attempts: a daemon that restarts is back soon, one that is stopped is no reason to hurry. */
const firstDelayMs = 200;
const longestDelayMs = 5000;

export interface Listening {
  readonly onLine: (line: string) => void;
  /** virsh has been started: whatever happened before is to be looked up elsewhere. */
  readonly onStart: () => void;
  /** It has ended, and is started again. */
  readonly onEnd: (why: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Follows libvirt's lifecycle events through `virsh event`, which is started again whenever it ends. Not for hooks: the
 * daemon may answer only after they have ended. Resolves once `signal` says to stop.
 */
export async function listenToEvents({ onLine, onStart, onEnd, signal }: Listening): Promise<void> {
  let delayMs = firstDelayMs;
  while (!signal.aborted) {
    const began = performance.now();
    const printed: string[] = [];
    const ended = runVirsh({ onLine, signal, print: line => printed.length < 5 && printed.push(line) });
    onStart();
    await ended;
    if (signal.aborted) return;
    onEnd(printed.join(', ') || 'it ended');
    delayMs = performance.now() - began > longestDelayMs ? firstDelayMs : Math.min(2 * delayMs, longestDelayMs);
    await sleep(delayMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Resolves when virsh has ended or could not be started, or at once when told to stop; never rejects. */
async function runVirsh({
  onLine,
  signal,
  print,
}: Pick<Listening, 'onLine' | 'signal'> & { print: (line: string) => void }): Promise<void> {
  let child: ChildProcess | undefined;
  let stop = () => {};
  try {
    child = spawn('virsh', [...words, ...eventWords], {
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<void>(resolve => {
      child!.once('close', () => resolve());
      child!.once('error', error => {
        print(`${error}`);
        resolve();
      });
      stop = resolve;
      signal.addEventListener('abort', stop);
    });
    // Without a process there may be no streams either.
    if (child.stdout) createInterface(child.stdout).on('line', onLine);
    if (child.stderr) createInterface(child.stderr).on('line', line => line.trim() !== '' && print(line.trim()));
    await ended;
  } catch (error) {
    print(`${error}`);
  }
  signal.removeEventListener('abort', stop);
  // One that stands still hears only this.
  child?.kill('SIGKILL');
  child?.stdout?.destroy();
  child?.stderr?.destroy();
  child?.unref();
}
