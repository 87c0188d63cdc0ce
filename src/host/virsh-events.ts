import { spawn } from 'node:child_process';
import { once } from 'node:events';
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
    const child = spawn('virsh', [...words, ...eventWords], {
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    const printed: string[] = [];
    createInterface(child.stdout).on('line', onLine);
    createInterface(child.stderr).on('line', line => {
      if (line.trim() !== '' && printed.length < 5) printed.push(line.trim());
    });
    const ended = Promise.race([
      once(child, 'close'),
      once(child, 'error').then(([error]) => printed.push(`${error}`)),
    ]);
    onStart();
    await ended.catch(error => printed.push(`${error}`));
    if (signal.aborted) return;
    onEnd(printed.join(', ') || 'it ended');
    delayMs = performance.now() - began > longestDelayMs ? firstDelayMs : Math.min(2 * delayMs, longestDelayMs);
    await sleep(delayMs, undefined, { signal }).catch(() => undefined);
  }
}
