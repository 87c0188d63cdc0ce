import { spawn } from 'node:child_process';
import type { HostPaths } from '../host/paths.ts';
import { runWitness, untilTerminated } from './witness.ts';

/** `actualnet agent`: the witness as a service. Tells systemd, if it is told to, when it is ready and that it is alive. */
export async function runAgent(paths: HostPaths): Promise<void> {
  const signal = untilTerminated();
  const watchdogUs = Number(process.env.WATCHDOG_USEC ?? 0);
  const beat = watchdogUs > 0 ? setInterval(() => notify('WATCHDOG=1'), watchdogUs / 2000) : undefined;
  try {
    await runWitness(paths, 'agent', { signal, onReady: () => notify('READY=1') });
  } finally {
    clearInterval(beat);
  }
}

/** Node has no datagram sockets with names, so systemd's own tool is asked. */
function notify(state: string): void {
  if (!process.env.NOTIFY_SOCKET) return;
  try {
    spawn('systemd-notify', [state], { stdio: 'ignore' }).on('error', () => undefined);
  } catch {}
}
