import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const limitMs = 20_000;

/** Removes a private root in which hooks ran. First ends the processes that they have left behind: those would write there again. */
export async function removeRoot(root) {
  endAll(root, 'SIGTERM');
  const endMs = performance.now() + limitMs;
  while (processesOf(root).length > 0) {
    await sleep(20);
    if (performance.now() > endMs) endAll(root, 'SIGKILL');
  }
  rmSync(root, { recursive: true, force: true });
}

/** Lets a signal end the programs that are being run, and what runs them clean up behind them, instead of this process at once. */
export function endInOrder() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
}

function endAll(root, signal) {
  for (const pid of processesOf(root)) {
    try {
      process.kill(pid, signal);
    } catch {}
  }
}

/** Those that act in the root. One that waits to be reaped has no environment any more. */
function processesOf(root) {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(pid => environmentOf(pid).includes(`ACTUALNET_ROOT=${root}`))
    .map(Number);
}

function environmentOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
