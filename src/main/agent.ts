import type { HostPaths } from '../host/paths.ts';
import { runBounded } from '../host/process/bounded.ts';
import { runAgentLoop, untilTerminated } from './run-agent.ts';

/** Longer than systemd takes to hear it. */
const notifyLimitMs = 10_000;

/** `actualnet agent`: the agent as a service. Tells systemd, if it is told to, when it is ready and that it makes progress. */
export async function runAgent(paths: HostPaths): Promise<void> {
  const done = new AbortController();
  const notify = (state: string) => void tellSystemd(state, done.signal);
  const watchdogMs = Number(process.env.WATCHDOG_USEC ?? 0) / 1000;
  let fedMs = Number.NEGATIVE_INFINITY;
  const onMoving = () => {
    const now = performance.now();
    if (watchdogMs === 0 || now - fedMs < watchdogMs / 4) return;
    fedMs = now;
    notify('WATCHDOG=1');
  };
  const onReady = () => notify('READY=1');
  const isIdle = await runAgentLoop(paths, 'agent', { signal: untilTerminated(), onReady, onMoving });
  done.abort();
  if (!isIdle) process.exit();
}

/** Node has no datagram sockets with names, so systemd's own tool is asked. */
async function tellSystemd(state: string, signal: AbortSignal): Promise<void> {
  if (process.env.NOTIFY_SOCKET) await runBounded('systemd-notify', [state], { limitMs: notifyLimitMs, signal });
}
