import { setImmediate as eventsRead, setTimeout as sleep } from 'node:timers/promises';
import { type CutOver, isTold, readCutOvers } from '../agent/cut-over.ts';
import { followRunState } from '../agent/follow.ts';
import { followDevices } from '../agent/follow-devices.ts';
import { readEventLine } from '../agent/lifecycle.ts';
import { type AgentState, GuestQueue } from '../agent/queue.ts';
import { type Config, defaultConfig } from '../config/config.ts';
import { foldRecord } from '../guest/record.ts';
import { ownPrograms } from '../host/effects.ts';
import { announcer } from '../host/kernel/announce.ts';
import { batchesIn } from '../host/kernel/batches.ts';
import { listenToEvents } from '../host/libvirt/events.ts';
import { readRunningGuests } from '../host/libvirt/files.ts';
import { hasEnded, readRunningGuest, runStateReader, tryReadRunState } from '../host/libvirt/run-states.ts';
import { watchStatusFiles } from '../host/libvirt/status-watch.ts';
import type { HostPaths } from '../host/paths.ts';
import { type AgentRole, becomeAgent } from '../host/process/one-agent.ts';
import { keepPrestarted } from '../host/process/prestarted.ts';
import { loadConfig } from '../host/state/config-files.ts';
import { forgetUnfinished, listUnfinished } from '../host/state/hotplugs.ts';
import { fileMemory, type Memory } from '../host/state/memory.ts';
import type { Domain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { isPassive } from '../plan/plan.ts';
import { ActualnetError, errorLine } from '../report/error.ts';
import type { Log } from '../report/log.ts';
import { garbageCollector } from './garbage.ts';
import { cameFromElsewhere, hookContext } from './hook.ts';
import { deviceHost } from './hotplug.ts';
import { guestByTaps } from './unreadable.ts';

/** Status files are the second source, and the first while virsh cannot connect. */
const lookMs = 1000;
/** A on-demand agent stays this long after it was last needed: a guest may be about to come. */
const lingerMs = 10_000;
/** What takes longer waits for a host that does not answer. */
const giveWayMs = 2000;
/** What is at work when we are told to end may come to its end within this. */
const endLimitMs = 5000;
/** Devices that could not be settled. */
const settleAgainMs = 10_000;

/**
 * Watches the run states of this host's guests and acts on them, until `signal` says to stop; an on-demand agent also stops when no
 * guest is left. `onReady` is called when the watch has begun, `onMoving` again and again while it moves. Throws `LOCKED`
 * if another one does this already; an on-demand agent then just ends. Answers whether nothing is left at work; if something is, this
 * process has to end, and stays the one agent until then.
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
  const {
    log,
    effects,
    libvirtVersion: version,
  } = hookContext(paths, { by: 'agent', operation: role }, { ...ownPrograms, ...batchesIn(prestarted.start) });
  const memory = fileMemory(paths, Date.now);
  const uuids = new Map<string, Uuid>();
  let config: Config | undefined;
  let mistake = '';
  const tellMistake = (line: string) => {
    if (line !== mistake && line !== '') log.warn(line);
    mistake = line;
  };
  /** The last one without a mistake: whoever mends it must not leave guests where they are not. */
  const reload = async () => {
    try {
      const before = config;
      config = await loadConfig(paths);
      tellMistake(config.outdated ?? '');
      // What was not asked for before is due now, for guests that run already.
      if (before !== undefined && isPassive(before) && !isPassive(config)) queue.again();
    } catch (error) {
      tellMistake(errorLine(error));
    }
  };
  const planning = async () => {
    await reload();
    if (config === undefined) throw new ActualnetError('CONFIG', 'there is no configuration without a mistake yet');
    return { config, effects, findNetwork: memory.findNetwork, version };
  };
  const findGuest = (name: string) => {
    const domain = tryReadGuest(paths, memory, name);
    if (domain?.uuid !== undefined) uuids.set(name, domain.uuid);
    return domain;
  };
  const findRecorded = (name: string) => {
    // One look at the records tells of all guests.
    if (!uuids.has(name)) for (const [known, uuid] of recordedGuests(memory)) uuids.set(known, uuid);
    return uuids.get(name);
  };
  const isIncoming = (guest: Uuid) => cameFromElsewhere(memory, guest);
  const note = (cutOver: CutOver) => noteOnce(cutOver, memory);
  const isOver = (name: string) => hasEnded(paths, name);
  const announcing = announcer();
  const sources = {
    findGuest,
    hasEnded: isOver,
    findRecorded,
    isIncoming,
    effects,
    planning,
    note,
    log,
    ...announcing,
  };
  const devices = deviceHost(paths, { memory, planning, log });
  const unsettled = new Map<Uuid, number>();
  let told = '';
  /** What could not be settled is marked as such, and looked at again: the guest's run state need not wait for it. */
  const followSettling = (guest: string, paused: boolean) =>
    followDevices(guest, { paused, host: devices }).catch(error => {
      if (told !== errorLine(error)) log.warn(errorLine(error));
      told = errorLine(error);
    });
  const queue = new GuestQueue({
    log,
    now: Date.now,
    policy: () => (config ?? defaultConfig).reachability,
    async act(guest, wanted, news, giveWay) {
      const timer = setTimeout(giveWay, giveWayMs);
      try {
        // Events are read first: of many guests' acts one after the other, each is to be for the newest state.
        await eventsRead();
        if (news.causes.length > 0) await followRunState(guest, wanted, news.causes, sources);
        if (news.devices && wanted !== 'gone') await followSettling(guest, wanted !== 'open');
      } finally {
        clearTimeout(timer);
      }
      if (wanted === 'gone') uuids.delete(guest);
    },
  });
  let listeningSinceMs: number | null = null;
  const listening = listenToEvents({
    onLine: line => {
      const event = readEventLine(line);
      if (event !== undefined) queue.take(event);
    },
    onStart: () => {
      listeningSinceMs = Date.now();
    },
    onEnd: why => {
      listeningSinceMs = null;
      log.info(`no events from libvirt until virsh can connect again: ${why}`);
    },
    signal: stop,
  });
  const keepWatching = watchStatusFiles(paths, {
    onWritten: guest => {
      const state = tryReadRunState(paths, guest);
      if (state !== undefined) queue.takeDevices(state);
      else queue.lookAtDevices(guest);
    },
    signal: stop,
  });
  await reload();
  const readStates = runStateReader(paths);
  log.info(`the ${role} watches the guests' run states`);
  onReady?.();
  /** Once at once, then now and then. Of a guest that has ended its own end has undone everything. */
  const lookAtUnfinished = async () => {
    const unfinished = await listUnfinished(paths);
    for (const guest of unsettled.keys()) if (!unfinished.includes(guest)) unsettled.delete(guest);
    for (const guest of unfinished) {
      if (Date.now() - (unsettled.get(guest) ?? 0) < settleAgainMs) continue;
      unsettled.set(guest, Date.now());
      const name = readRunningGuests(paths).find(({ uuid }) => uuid === guest)?.name;
      if (name === undefined) await forgetUnfinished(paths, guest);
      else queue.lookAtDevices(name);
    }
  };
  const tell = stateReporter(memory, log);
  const collectGarbage = garbageCollector(paths, { memory, effects, log });
  const collecting = new Set<Promise<void>>();
  const sinceMs = Date.now();
  let neededMs = Date.now();
  while (!stop.aborted) {
    try {
      await reload();
      keepWatching();
      queue.catchUp(await readStates());
      await lookAtUnfinished();
      const turn = collectGarbage();
      collecting.add(turn);
      void turn.finally(() => collecting.delete(turn));
      if (memory.listRecords().length > 0 || queue.guests().length > 0) neededMs = Date.now();
    } catch (error) {
      log.warn(errorLine(error));
    }
    tell({ role, pid: process.pid, sinceMs, listeningSinceMs, guests: queue.guests() });
    if (queue.isMoving()) onMoving?.();
    if (role === 'on-demand agent' && Date.now() - neededMs > lingerMs) break;
    await sleep(lookMs, undefined, { signal: stop }).catch(() => undefined);
  }
  done.abort();
  await listening;
  const limit = new AbortController();
  const isIdle = await Promise.race([
    Promise.all([queue.idle(), ...collecting]).then(() => true),
    sleep(endLimitMs, false, { signal: limit.signal }).catch(() => false),
  ]);
  limit.abort();
  prestarted.end();
  announcing.end();
  tell(undefined);
  log.info(`the ${role} has ended${isIdle ? '' : ', and left what it was doing'}`);
  if (isIdle) release();
  return isIdle;
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
