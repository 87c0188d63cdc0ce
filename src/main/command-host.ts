import path from 'node:path';
import type { AgentState } from '../agent/queue.ts';
import type { CommandHost } from '../cli/host.ts';
import { readKernelFile, writeFileForAll } from '../host/files.ts';
import { listOwnHooks } from '../host/hook-files.ts';
import { findGuestDefinition, findLibvirtVersion, listKeptByLibvirt } from '../host/libvirt/files.ts';
import { tryReadRunState } from '../host/libvirt/run-states.ts';
import { hasAgent } from '../host/process/one-agent.ts';
import { listUnreadConfigFiles, loadConfig, readConfigFiles } from '../host/state/config-files.ts';
import { fileHistory } from '../host/state/history.ts';
import { fileMemory } from '../host/state/memory.ts';
import type { Uuid } from '../model/values.ts';
import { asActualnetError, errorLine, printable } from '../report/error.ts';
import { commandIo } from './command-io.ts';
import { thisHost } from './this-host.ts';

declare const builtFrom: { readonly version: string };

/** This host for the commands; `stdin` is the word that stands for it. */
export function commandHost(stdin: string, name: string): CommandHost {
  const paths = thisHost();
  const memory = fileMemory(paths, Date.now);
  const io = commandIo(stdin);
  const actor = { by: 'command', operation: name } as const;
  const warned = new Set<string>();

  const warnOnce = (line: string) => {
    if (!warned.has(line)) process.stderr.write(`warning: ${printable(line)}\n`);
    warned.add(line);
  };

  const planning = async () => {
    const { cameFromElsewhere, deviceUsers, hookContext } = await import('./hook.ts');
    const { effects, libvirtVersion: version, accessRules } = hookContext(paths, actor);
    const config = await loadConfig(paths);
    if (config.outdated !== undefined) warnOnce(config.outdated);
    return {
      config,
      effects,
      findNetwork: memory.findNetwork,
      version,
      accessRules,
      usersBeside: (guest: Uuid | undefined) => deviceUsers(paths, memory, guest),
      isIncoming: (guest: Uuid) => cameFromElsewhere(memory, guest),
    };
  };

  return {
    io,
    stdin,
    memory,
    async effects() {
      const { ownEffects } = await import('./effects.ts');
      const { withHistory } = await import('./history.ts');
      return withHistory(ownEffects(paths, Date.now), fileHistory(paths, Date.now), actor);
    },
    doctorFacts: async () => (await import('./doctor.ts')).readFacts(paths, memory),
    version: builtFrom.version,
    residentBytes: pid =>
      1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readKernelFile(paths.proc, `${pid}`, 'status'))?.[1] ?? 0),
    writeForAll: (file, text) => writeFileForAll(path.resolve(file), text),
    history: () => fileHistory(paths, Date.now),
    now: Date.now,
    planning,
    libvirtVersion: () => findLibvirtVersion(paths),
    runs: guest => tryReadRunState(paths, guest) !== undefined,
    findDefinition: name => findGuestDefinition(paths, name),
    whatRuns: async graceMs => (await import('./running.ts')).whatRuns(paths, memory, graceMs),
    configProblem: () =>
      loadConfig(paths).then(
        config => config.outdated,
        error => `no guest can start: ${errorLine(error)}`,
      ),
    configFiles: () => ({ files: readConfigFiles(paths), unread: listUnreadConfigFiles(paths) }),
    async agent() {
      try {
        return {
          agentState: (await hasAgent(paths)) ? (memory.readAgentState() as AgentState | undefined) : undefined,
        };
      } catch (error) {
        return { agentState: undefined, unseen: asActualnetError(error).message };
      }
    },
    async forgetUnfinished() {
      const { forgetUnfinished, listUnfinished } = await import('../host/state/hotplugs.ts');
      const { runningGuests } = await import('../host/libvirt/run-states.ts');
      const isRunning = runningGuests(paths);
      const gone = (await listUnfinished(paths)).filter(guest => !isRunning(guest, undefined));
      for (const guest of gone) await forgetUnfinished(paths, guest);
      return gone.map(guest => `guest ${guest} has gone: what was being done to its devices is forgotten`);
    },
    installedHooks: () => listOwnHooks(paths),
    deviceSources: async () => (await import('./effects.ts')).deviceSources(paths, memory),
    keptByLibvirt: () => listKeptByLibvirt(paths),
    async hotplug() {
      const { hotplugHost } = await import('./hotplug.ts');
      const { hookContext } = await import('./hook.ts');
      const { log } = hookContext(paths, actor);
      const say = (line: string) => io.write(`${printable(line)}\n`);
      // libvirt allocates by its own count, and it is not asked from a hook here.
      const byLibvirt = async () => ({ ...(await planning()), findNetwork: memory.findLibvirtNetwork });
      return hotplugHost(paths, { memory, planning: byLibvirt, log, say });
    },
    async answerHook(call) {
      const { answerHook, deliver } = await import('./hook.ts');
      const outcome = await answerHook(call);
      deliver(outcome);
      return outcome.status === 0 ? 0 : 1;
    },
    async runInstaller(words) {
      const { runInstaller } = await import('./installer.ts');
      return runInstaller(process.argv[1] ?? '', words);
    },
    async *replayCalls(directory, config) {
      const { replayCalls } = await import('./replay.ts');
      yield* replayCalls(path.resolve(directory), config);
    },
    async runAgent() {
      const { runAgent } = await import('./agent.ts');
      await runAgent(paths);
    },
  };
}
