import type { AgentState } from '../agent/queue.ts';
import { defaultConfig } from '../config/config.ts';
import type { Config } from '../config/types.ts';
import type { HostFacts } from '../doctor/facts.ts';
import { kernelFeatures } from '../doctor/host.ts';
import { foldRecord } from '../guest/record.ts';
import {
  listMissingTools,
  listUnreadable,
  readDaemons,
  readHookFacts,
  readSystemFacts,
  startOf,
  tryKernel,
} from '../host/doctor.ts';
import { readAccessRules } from '../host/libvirt/access.ts';
import { findLibvirtVersion, readGuestDefinitions } from '../host/libvirt/files.ts';
import { runningGuests } from '../host/libvirt/run-states.ts';
import type { HostPaths } from '../host/paths.ts';
import { hasAgent } from '../host/process/one-agent.ts';
import { listUnreadConfigFiles, readConfig } from '../host/state/config-files.ts';
import { fileHistory } from '../host/state/history.ts';
import { listUnfinished } from '../host/state/hotplugs.ts';
import type { Memory } from '../host/state/memory.ts';
import type { Effects } from '../journal/effects.ts';
import { ledgerProblems, tryEntriesOf } from '../journal/ledgers.ts';
import { describeChange, findDrift, needsOf } from '../kernel/registry.ts';
import type { Domain } from '../model/domain.ts';
import { type AccessRules, accessNodes, findMissingAccess } from '../plan/access.ts';
import { guestDevices } from '../plan/guest-devices.ts';
import { isPassive } from '../plan/plan.ts';
import { asActualnetError } from '../report/error.ts';
import { resolveGuest } from '../resolve/guest.ts';
import { viewGuest } from '../transform/view-guest.ts';
import { ownEffects } from './effects.ts';

/** All that is asked of this host; what cannot be asked is told of as such, and nothing is changed. */
export async function readFacts(paths: HostPaths, memory: Memory): Promise<HostFacts> {
  const isRoot = process.getuid?.() === 0;
  const effects = ownEffects(paths, Date.now);
  const unreadable = listUnreadable(paths);
  const isUnread = (tells: string) => unreadable.some(each => each.tells === tells);
  const isConfigUnread = isUnread('what is configured');
  const loaded = await readConfig(paths).then(
    config => ({ config, problem: undefined }),
    error => ({ config: undefined, problem: isConfigUnread ? undefined : asActualnetError(error).message }),
  );
  const system = readSystemFacts(paths);
  const wanted = kernelFeatures({ config: loaded.config, usesMacvtap: system.usesMacvtap });
  const kernel = await tryKernel(isRoot ? wanted : new Set());
  const untried = [...wanted].filter(feature => kernel[feature] === undefined);
  const pfs = await readPfs(effects);
  const notAsked = [
    ...(isRoot ? [] : ['what is remembered and applied, the agent, and who has which device: only root may see it']),
    ...unreadable.map(({ file, tells }) => `${tells}: '${file}' cannot be read`),
    ...(untried.length > 0 ? [`what the kernel can do (${untried.join(', ')}): no private network namespace`] : []),
  ];
  return {
    ...(await readHookFacts(paths)),
    ...system,
    areHooksUnread: isUnread('which hooks libvirt calls'),
    ...(isRoot ? await readOwnFacts(paths, memory, effects) : nothingOwn),
    notAsked,
    isRoot,
    nowMs: Date.now(),
    daemons: readDaemons(paths),
    lastCallMs: isUnread('which hooks libvirt has called') ? undefined : readLastCalls(paths),
    missingTools: listMissingTools(process.env.PATH ?? ''),
    kernel,
    ...pfs,
    missingAccess: await readMissingAccess(paths, memory, { config: loaded.config ?? defaultConfig, effects }),
    stateDirectory: paths.state,
    configProblem: loaded.problem,
    config: loaded.config,
    isPassive: isPassive(loaded.config ?? defaultConfig),
    unreadConfigFiles: listUnreadConfigFiles(paths),
  };
}

type OwnFacts = Pick<
  HostFacts,
  'stateProblems' | 'staleGuests' | 'unfinished' | 'drift' | 'agent' | 'followedGuests' | 'runningGuests' | 'newestMs'
>;

const nothingOwn: OwnFacts = {
  stateProblems: [],
  staleGuests: [],
  unfinished: [],
  drift: [],
  agent: undefined,
  followedGuests: 0,
  runningGuests: 0,
  newestMs: 0,
};

/** What our own files tell. */
async function readOwnFacts(paths: HostPaths, memory: Memory, effects: Effects): Promise<OwnFacts> {
  const isRunning = runningGuests(paths);
  const records = memory.listRecords().flatMap(uuid => foldRecord(uuid, memory.readRecord(uuid)) ?? []);
  const followed = await hasAgent(paths).catch(() => false);
  const agentState = followed ? (memory.readAgentState() as AgentState | undefined) : undefined;
  return {
    stateProblems: [...new Set([...memory.listUnreadable(), ...ledgerProblems(effects)])],
    staleGuests: records.filter(record => effects.isGone(record.uuid)).map(({ name }) => name),
    unfinished: (await listUnfinished(paths)).map(uuid => records.find(record => record.uuid === uuid)?.name ?? uuid),
    drift: await readDrift(effects),
    agent: agentState && {
      role: agentState.role,
      pid: agentState.pid,
      startedMs: startOf(paths.proc, String(agentState.pid)),
    },
    followedGuests: effects.guestsWithLedger().length,
    runningGuests: records.filter(({ uuid, name }) => isRunning(uuid, name)).length,
    newestMs: Math.max(0, ...records.map(({ since }) => Date.parse(since) || 0)),
  };
}

function readLastCalls(paths: HostPaths): HostFacts['lastCallMs'] {
  const calls: Partial<Record<'qemu' | 'network', number>> = {};
  for (const entry of fileHistory(paths, Date.now).read()) {
    if (entry.kind !== 'call' || (entry.driver !== 'qemu' && entry.driver !== 'network')) continue;
    calls[entry.driver] = Math.max(calls[entry.driver] ?? 0, Date.parse(entry.at) || 0);
  }
  return calls;
}

/** A file that may not be read is told of as such. */
function tryAccessRules(paths: HostPaths): AccessRules | undefined {
  try {
    return readAccessRules(paths);
  } catch {
    return undefined;
  }
}

/** Of guests that are defined here, as their next start would find it. */
async function readMissingAccess(
  paths: HostPaths,
  memory: Memory,
  { config, effects }: { readonly config: Config; readonly effects: Effects },
): Promise<HostFacts['missingAccess']> {
  const rules = tryAccessRules(paths);
  if (rules === undefined || !rules.closed) return [];
  const host = await effects.view({});
  const version = () => findLibvirtVersion(paths);
  return tryDefinitions(paths).flatMap(domain => {
    try {
      const view = viewGuest(domain, resolveGuest(domain, { findNetwork: memory.findNetwork, version }));
      const devices = guestDevices(domain, view, { config, requests: [], host, incoming: false });
      return findMissingAccess(accessNodes(domain, devices, host), rules).map(({ message, hint = '' }) => ({
        what: `${domain.owner}, ${message}`,
        line: hint.replace(/^in qemu.conf: /, ''),
      }));
    } catch {
      // A definition that cannot be read is libvirt's to tell of.
      return [];
    }
  });
}

function tryDefinitions(paths: HostPaths): Domain[] {
  try {
    return readGuestDefinitions(paths);
  } catch {
    return [];
  }
}

async function readPfs(effects: Effects): Promise<Pick<HostFacts, 'pfs' | 'sharedGroups'>> {
  const host = await effects.view({});
  const pfs = host.pfs().flatMap(address => {
    const dev = host.pci(address)?.netdevs[0];
    const link = dev === undefined ? undefined : host.link(dev);
    return dev === undefined || link === undefined ? [] : [[dev, { vfs: link.vfs ?? 0, up: link.up }] as const];
  });
  const sharedGroups = host.pfs().flatMap(pf =>
    (host.pci(pf)?.vfs ?? []).flatMap(vf => {
      const group = host.pci(vf)?.group;
      const other = group?.members.find(member => member !== vf && host.pci(member)?.isBridge === false);
      return group == null || other === undefined ? [] : [{ vf, group: group.number, other }];
    }),
  );
  return { pfs: Object.fromEntries(pfs), sharedGroups };
}

/** What the ledgers say is applied for guests that run, and the host does not show. */
async function readDrift(effects: Effects): Promise<string[]> {
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
