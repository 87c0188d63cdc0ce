import { setImmediate as eventsRead, setTimeout as sleep } from 'node:timers/promises';
import { Agent, type AgentHost } from '../agent/agent.ts';
import { type CutOver, isTold, readCutOvers } from '../agent/cut-over.ts';
import type { AgentState } from '../agent/queue.ts';
import { startLimitMs } from '../guest/liveness.ts';
import { foldRecord } from '../guest/record.ts';
import type { HookContext } from '../hook/context.ts';
import { ownPrograms } from '../host/effects.ts';
import { announcer } from '../host/kernel/announce.ts';
import { batchesIn } from '../host/kernel/batches.ts';
import { listenToEvents } from '../host/libvirt/events.ts';
import { readRunningGuests } from '../host/libvirt/files.ts';
import { hasEnded, readRunningGuest, runStateReader, tryReadRunState } from '../host/libvirt/run-states.ts';
import { watchStatusFiles } from '../host/libvirt/status-watch.ts';
import { once } from '../host/once.ts';
import type { HostPaths } from '../host/paths.ts';
import { type AgentRole, becomeAgent } from '../host/process/one-agent.ts';
import { keepPrestarted } from '../host/process/prestarted.ts';
import { loadConfig } from '../host/state/config-files.ts';
import { forgetUnfinished, listUnfinished } from '../host/state/hotplugs.ts';
import type { Memory } from '../host/state/memory.ts';
import type { Domain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { ActualnetError, errorLine } from '../report/error.ts';
import type { Log } from '../report/log.ts';
import { cameFromElsewhere, hookContext } from './hook.ts';
import { deviceHost } from './hotplug.ts';
import { whatRuns } from './running.ts';
import { guestByTaps } from './unreadable.ts';

/** Status files are the second source, and the first while virsh cannot connect. */
const lookMs = 1000;
/** What is at work when we are told to end may come to its end within this. */
const endLimitMs = 5000;

/**
 * Watches the run states of this host's guests and acts on them, until `signal` says to stop; an on-demand agent also stops
 * when no guest is left. `onReady` is called when the watch has begun, `onMoving` again and again while it moves. Throws
 * `LOCKED` if another one does this already; an on-demand agent then just ends. Answers whether nothing is left at work; if
 * something is, this process has to end, and stays the one agent until then.
 */
export async function runAgentLoop(
  paths: HostPaths,
  role: AgentRole,
  {
    signal,
    onReady,
    onMoving,
  }: { readonly signal: AbortSignal; readonly onReady?: () => void; readonly onMoving?: () => void },
): Promise<boolean> {
  const release = await becomeAgent(paths, role, signal);
  if (release === undefined) {
    if (role === 'on-demand agent' || signal.aborted) return true;
    throw new ActualnetError('LOCKED', 'another actualnet agent runs on this host');
  }
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  const prestarted = keepPrestarted();
  const announcing = announcer();
  const programs = { ...ownPrograms, ...batchesIn(prestarted.start) };
  const hook = hookContext(paths, { by: 'agent', operation: role }, programs);
  const { log, memory } = hook;
  const agent = new Agent(role, agentHost(paths, hook, announcing));
  const listening = listenToEvents({
    onLine: line => agent.hear(line),
    onStart: () => agent.listens(true),
    onEnd: why => {
      agent.listens(false);
      log.info(`no events from libvirt until virsh can connect again: ${why}`);
    },
    signal: stop,
  });
  const keepWatching = watchStatusFiles(paths, { onWritten: guest => agent.written(guest), signal: stop });
  await agent.reload();
  log.info(`the ${role} watches the guests' run states`);
  onReady?.();
  const report = stateReporter(memory, log);
  while (!stop.aborted) {
    keepWatching();
    await agent.look();
    report(agent.state(process.pid));
    if (agent.isMoving()) onMoving?.();
    if (!agent.isNeeded()) break;
    await sleep(lookMs, undefined, { signal: stop }).catch(() => undefined);
  }
  done.abort();
  await listening;
  const limit = new AbortController();
  const isIdle = await Promise.race([
    agent.idle().then(() => true),
    sleep(endLimitMs, false, { signal: limit.signal }).catch(() => false),
  ]);
  limit.abort();
  prestarted.end();
  announcing.end();
  report(undefined);
  log.info(`the ${role} has ended${isIdle ? '' : ', and left what it was doing'}`);
  if (isIdle) release();
  return isIdle;
}

/** This host, as the agent needs it. */
function agentHost(
  paths: HostPaths,
  { log, memory, effects, libvirtVersion: version }: HookContext,
  announcing: Pick<AgentHost['guests'], 'announce' | 'cancel'>,
): AgentHost {
  return {
    guests: {
      ...announcing,
      log,
      effects,
      findGuest: name => tryReadGuest(paths, memory, name),
      hasEnded: name => hasEnded(paths, name),
      isIncoming: guest => cameFromElsewhere(memory, guest),
      note: cutOver => noteOnce(cutOver, memory),
    },
    devices: deviceHost(paths, { memory, log }),
    log,
    now: Date.now,
    effects,
    loadConfig: () => loadConfig(paths),
    resolving: { findNetwork: memory.findNetwork, version },
    listRecorded: () => recordedGuests(memory),
    readStates: runStateReader(paths),
    readState: guest => tryReadRunState(paths, guest),
    async listUnfinished() {
      const running = once(() => readRunningGuests(paths));
      const nameOf = (guest: Uuid) => running().find(({ uuid }) => uuid === guest)?.name;
      return (await listUnfinished(paths)).map(guest => ({ guest, name: nameOf(guest) }));
    },
    forgetUnfinished: guest => forgetUnfinished(paths, guest),
    whatRuns: () => whatRuns(paths, memory, startLimitMs),
    eventsRead: () => eventsRead(),
    after(ms, call) {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
  };
}

/** One that cannot be read is known by its taps; whoever follows its devices says so. */
function tryReadGuest(paths: HostPaths, memory: Memory, name: string): Domain | undefined {
  try {
    return readRunningGuest(paths, name);
  } catch (error) {
    const known = guestByTaps(paths, memory, name);
    if (known === undefined) throw error;
    return known;
  }
}

/** A guest's life begins with its record. */
function noteOnce(cutOver: CutOver, memory: Memory): boolean {
  const [first] = memory.readRecord(cutOver.guest);
  const bornMs = Date.parse(foldRecord(cutOver.guest, [first])?.since ?? '1970-01-01');
  if (isTold(readCutOvers(memory.readCutOvers()), cutOver, bornMs)) return false;
  memory.noteCutOver(cutOver);
  return true;
}

function recordedGuests(memory: Memory): [name: string, guest: Uuid][] {
  return memory.listRecords().flatMap(guest => {
    const name = foldRecord(guest, memory.readRecord(guest))?.name;
    return name === undefined ? [] : [[name, guest]];
  });
}

/** Writes down what the agent knows when that has changed. It is only for those who want to look. */
function stateReporter(memory: Memory, log: Log): (state: AgentState | undefined) => void {
  let told = '';
  return state => {
    const now = JSON.stringify(state) ?? '';
    if (now === told) return;
    try {
      memory.noteAgentState(state);
      told = now;
    } catch (error) {
      if (told !== 'failed') log.warn(errorLine(error));
      told = 'failed';
    }
  };
}

/** The agent that a hook leaves behind. */
export async function runOnDemandAgent(paths: HostPaths): Promise<void> {
  if (!(await runAgentLoop(paths, 'on-demand agent', { signal: untilTerminated() }))) process.exit();
}

/** Ends on SIGTERM and SIGINT; an on-demand agent has no terminal. */
export function untilTerminated(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => controller.abort());
  return controller.signal;
}
