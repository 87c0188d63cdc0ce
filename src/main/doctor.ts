import type { AgentState } from '../agent/queue.ts';
import type { HostFacts } from '../doctor/facts.ts';
import { foldRecord } from '../guest/record.ts';
import { listMissingTools, readDaemons, readHookFacts, readSystemFacts, startOf, tryKernel } from '../host/doctor.ts';
import { runningGuests } from '../host/libvirt/run-states.ts';
import type { HostPaths } from '../host/paths.ts';
import { hasAgent } from '../host/process/one-agent.ts';
import { listUnreadConfigFiles, loadConfig } from '../host/state/config-files.ts';
import { listUnfinished } from '../host/state/hotplugs.ts';
import type { Memory } from '../host/state/memory.ts';
import { ledgerProblems, tryEntriesOf } from '../journal/ledgers.ts';
import { describeChange, findDrift, needsOf } from '../kernel/registry.ts';
import { asActualnetError } from '../report/error.ts';
import { ownEffects } from './effects.ts';

/** All that is asked of this host; what cannot be asked is told of as such, and nothing is changed. */
export async function readFacts(paths: HostPaths, memory: Memory): Promise<HostFacts> {
  const effects = ownEffects(paths, Date.now);
  const isRunning = runningGuests(paths);
  const records = memory.listRecords().flatMap(uuid => foldRecord(uuid, memory.readRecord(uuid)) ?? []);
  const loaded = await loadConfig(paths).then(
    config => ({ config, problem: config.outdated }),
    error => ({ config: undefined, problem: asActualnetError(error).message }),
  );
  const isRoot = process.getuid?.() === 0;
  const followed = await hasAgent(paths).catch(() => false);
  const agentState = followed ? (memory.readAgentState() as AgentState | undefined) : undefined;
  const running = records.filter(({ uuid, name }) => isRunning(uuid, name));
  return {
    ...readHookFacts(paths),
    ...readSystemFacts(paths),
    isRoot,
    nowMs: Date.now(),
    daemons: readDaemons(paths),
    missingTools: listMissingTools(process.env.PATH ?? ''),
    nodeVersion: process.version,
    kernel: await tryKernel(isRoot),
    pfs: await readPfs(effects),
    stateDirectory: paths.state,
    stateProblems: [...new Set([...memory.listUnreadable(), ...ledgerProblems(effects)])],
    staleGuests: records.filter(record => effects.isGone(record.uuid)).map(({ name }) => name),
    unfinished: (await listUnfinished(paths)).map(uuid => records.find(record => record.uuid === uuid)?.name ?? uuid),
    drift: await readDrift(effects),
    configProblem: loaded.problem,
    config: loaded.config,
    unreadConfigFiles: listUnreadConfigFiles(paths),
    agent:
      agentState === undefined
        ? undefined
        : { role: agentState.role, pid: agentState.pid, startedMs: startOf(paths.proc, String(agentState.pid)) },
    followedGuests: effects.guestsWithLedger().length,
    runningGuests: running.length,
    newestMs: Math.max(0, ...records.map(({ since }) => Date.parse(since) || 0)),
  };
}

async function readPfs(effects: ReturnType<typeof ownEffects>): Promise<HostFacts['pfs']> {
  const host = await effects.view({});
  return Object.fromEntries(
    host.pfs().flatMap(address => {
      const dev = host.pci(address)?.netdevs[0];
      const link = dev === undefined ? undefined : host.link(dev);
      return dev === undefined || link === undefined ? [] : [[dev, { vfs: link.vfs ?? 0, up: link.up }]];
    }),
  );
}

/** What the ledgers say is applied for guests that run, and the host does not show. */
async function readDrift(effects: ReturnType<typeof ownEffects>): Promise<string[]> {
  const guests = effects.guestsWithLedger().filter(guest => !effects.isGone(guest));
  const entries = guests.flatMap(guest => tryEntriesOf(effects.guestLedger(guest)).entries);
  if (entries.length === 0) return [];
  try {
    const host = await effects.view(needsOf(entries));
    return findDrift(
      entries.map(entry => ({ ...entry, shared: false })),
      host,
    ).map(describeChange);
  } catch (error) {
    return [asActualnetError(error).message];
  }
}
