import path from 'node:path';
import { defaultConfig } from '../config/config.ts';
import { foldRecord } from '../guest/record.ts';
import { listUsers } from '../guest/users.ts';
import type { HookContext, Invocation, Outcome } from '../hook/context.ts';
import { runHook } from '../hook/dispatch.ts';
import type { HookDriver } from '../hook/phases.ts';
import { ownPrograms, type Programs, programsFor } from '../host/effects.ts';
import { leaveGrantBehind } from '../host/kernel/grant-access.ts';
import { readAccessRules } from '../host/libvirt/access.ts';
import { definitionWrittenMs, findLibvirtVersion, readRunningNetworks } from '../host/libvirt/files.ts';
import { tryReadRunState } from '../host/libvirt/run-states.ts';
import { once } from '../host/once.ts';
import type { HostPaths } from '../host/paths.ts';
import { leaveAgentBehind } from '../host/process/leave-agent.ts';
import { Patience } from '../host/process/patience.ts';
import { readStdin, writeAll } from '../host/process/streams.ts';
import { loadConfig } from '../host/state/config-files.ts';
import { fileHistory } from '../host/state/history.ts';
import { beginHotplug } from '../host/state/hotplugs.ts';
import { fileLog } from '../host/state/log-file.ts';
import { fileMemory, type Memory } from '../host/state/memory.ts';
import type { Uuid } from '../model/values.ts';
import type { DeviceUsers } from '../plan/free-vfs.ts';
import { errorLine } from '../report/error.ts';
import { deviceSources, ownEffects } from './effects.ts';
import { type Actor, listening, withHistory } from './history.ts';
import type { Recording } from './recorder.ts';
import { thisHost } from './this-host.ts';

/** Joins the hook to this host: `argv` is DRIVER OBJECT OPERATION SUB-OPERATION EXTRA. */
export async function answerHook(argv: readonly string[]): Promise<Outcome> {
  const [driver, object = '-', operation = '-', subOperation = '-', extra = '-'] = argv;
  const paths = thisHost();
  const fromMs = performance.now();
  const invocation: Invocation = { driver: driver as HookDriver, object, operation, subOperation, extra, readStdin };
  const patience = new Patience(defaultConfig.limits.waitSeconds * 1000);
  const context = hookContext(paths, { by: 'hook', operation }, programsFor(patience), patience);
  const { log, said } = listening(context.log);
  let guest: string | undefined;
  const memory: Memory = {
    ...context.memory,
    appendRecord(uuid, line) {
      if (driver === 'qemu') guest = uuid;
      context.memory.appendRecord(uuid, line);
    },
  };
  const given = { invocation, context: { ...context, log, memory } };
  const records = process.env.ACTUALNET_RECORD;
  const recording = records ? await record(records, paths, given) : undefined;
  const outcome = await runHook(recording?.invocation ?? invocation, recording?.context ?? given.context);
  recording?.end(outcome, said);
  const refused = /\[([A-Z_]+)\]\n$/.exec(outcome.stderr)?.[1];
  fileHistory(paths, Date.now).append([
    {
      at: new Date().toISOString(),
      kind: 'call',
      by: 'hook',
      operation,
      driver: driver ?? '',
      object,
      ...(guest !== undefined && { guest }),
      status: outcome.status,
      durationMs: Math.round(performance.now() - fromMs),
      ...(refused !== undefined && { refused }),
      ...(said.length > 0 && { said }),
    },
  ]);
  return outcome;
}

/** Keeps the call for whoever looks for a mistake; nothing of that is loaded otherwise. */
async function record(directory: string, paths: HostPaths, given: Pick<Recording, 'invocation' | 'context'>) {
  try {
    return await (await import('./recorder.ts')).beginRecording(directory, { paths, ...given });
  } catch (error) {
    given.context.log.warn(`the call cannot be recorded: ${errorLine(error)}`);
    return undefined;
  }
}

/** What a hook may look at and write to; one with `patience` waits as long as the configuration says, and no longer. */
export function hookContext(
  paths: HostPaths,
  actor: Actor,
  programs: Programs = ownPrograms,
  patience?: Patience,
): HookContext {
  const memory = fileMemory(paths, Date.now);
  return {
    memory,
    log: fileLog(paths.log, Date.now),
    now: Date.now,
    libvirtVersion: () => findLibvirtVersion(paths),
    async config() {
      const config = await loadConfig(paths);
      if (patience !== undefined) patience.limitMs = config.limits.waitSeconds * 1000;
      return config;
    },
    effects: withHistory(ownEffects(paths, Date.now, programs, patience), fileHistory(paths, Date.now), actor),
    accessRules: () => readAccessRules(paths),
    async letQemuOpen(guest, nodes) {
      const program = ownProgram();
      if (program !== undefined) await leaveGrantBehind(paths, program, guest, nodes);
    },
    deviceUsers: except => deviceUsers(paths, memory, except),
    runState: guest => tryReadRunState(paths, guest),
    definedMs: guest => definitionWrittenMs(paths, guest),
    async holdDevices(guest) {
      // A command of ours holds them for longer, and takes nothing back meanwhile.
      const hotplug = await beginHotplug(paths, guest, 200).catch(() => undefined);
      return () => hotplug?.end(!hotplug.wasUnfinished);
    },
    async ensureAgent() {
      const program = ownProgram();
      if (program !== undefined) await leaveAgentBehind(paths, program);
    },
  };
}

/** Who uses which device of this host, by all that is written about it; read when it is first asked for. */
export function deviceUsers(paths: HostPaths, memory: Memory, except: Uuid | undefined): DeviceUsers {
  const sources = deviceSources(paths, memory);
  const others = once(() => listUsers(sources, guest => guest === undefined || guest !== except));
  // What a guest was only promised it does not have: somebody may have taken it since.
  const nothing = {
    listRecords: () => [],
    recordMentions: () => false,
    readRecord: () => [],
    listAnnouncements: () => [],
  };
  const own = once(() => listUsers({ ...sources, memory: nothing }, guest => guest !== undefined && guest === except));
  return {
    isTaken: device => others().has(device),
    isOwn: device => own().has(device),
    get networks() {
      return readRunningNetworks(paths, content => content.includes('hostdev'));
    },
  };
}

/** Whether a guest came by migration or from a saved image, by its record. */
export function cameFromElsewhere(memory: Memory, guest: Uuid): boolean {
  return foldRecord(guest, memory.readRecord(guest))?.incoming === true;
}

/** What can be run again as a process of its own: the built hook. */
function ownProgram(): string | undefined {
  const program = process.argv[1] ?? '';
  return path.basename(program) === 'hook.cjs' ? program : undefined;
}

/** Writes an outcome where libvirt looks for it. */
export function deliver(outcome: Outcome): void {
  writeAll(1, outcome.stdout);
  writeAll(2, outcome.stderr);
  process.exitCode = outcome.status;
}
