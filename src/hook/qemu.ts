import { accessFindings, nodesToGrant } from '../guest/access.ts';
import { uuidOf, viewOf } from '../guest/context.ts';
import { actOnDevices } from '../guest/devices.ts';
import { isOpen } from '../guest/liveness.ts';
import { repairGuest } from '../guest/phases.ts';
import { compareRunning, compareViews, foldRecord, type GuestRecord, withNetworks } from '../guest/record.ts';
import { type Domain, readDomain } from '../model/domain.ts';
import { isPassive } from '../plan/plan.ts';
import { errorLine } from '../report/error.ts';
import { findLostPorts } from '../resolve/claim.ts';
import { compareDevices, type DeviceNews } from '../transform/devices.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { parseXml } from '../xml/document.ts';
import type { HookContext, Invocation } from './context.ts';
import { noteStopped, release } from './ending.ts';
import { act, type CallContext, callContext, resolvingOf, write } from './guest.ts';
import { leaveToAgent } from './leave-to-agent.ts';
import type { QemuOperation } from './phases.ts';
import { prepare } from './prepare.ts';
import { receive } from './receive.ts';
import { lineOf } from './record-lines.ts';

/** Answers one call of the qemu hook. Returns the document libvirt is to use instead, or nothing. */
export async function handleQemu(operation: QemuOperation, invocation: Invocation, hook: HookContext): Promise<string> {
  switch (operation) {
    case 'attach':
      return '';
    case 'stopped':
      await noteStopped(invocation, hook);
      return '';
    case 'release':
      await release(invocation, hook);
      return '';
    default:
  }
  const document = parseXml(invocation.readStdin());
  const domain = readDomain(document);
  switch (operation) {
    case 'migrate':
    case 'restore':
      return receive(operation, uuidOf(domain), document, hook);
    case 'prepare':
      await prepare(domain, hook);
      return '';
    case 'start':
    case 'started':
    case 'reconnect':
      await follow(operation, domain, hook);
      return '';
  }
}

type Following = 'start' | 'started' | 'reconnect';

/** The document shows the actual connections now: keep them, say where they differ from what was predicted, act on them. */
async function follow(operation: Following, domain: Domain, hook: HookContext): Promise<void> {
  const uuid = uuidOf(domain);
  const before = foldRecord(uuid, hook.memory.readRecord(uuid));
  const view = withNetworks(viewOf(domain, resolvingOf(hook)), before);
  const differences = findDifferences(operation, before, view);
  const lost = operation === 'reconnect' ? findLostPorts(domain, hook.memory.findNetwork) : [];
  // A guest that ran before there was anybody to record it gets what one gets that starts now.
  const missed = operation === 'reconnect' ? compareDevices(before?.actual ?? null, view) : nothingMissed;
  for (const line of missed.news) hook.log.info(`${domain.owner}, ${operation}: ${line}`);
  const findings = [...differences, ...missed.findings, ...lost, ...checkHostdevs(view)].filter(
    finding => !before?.findings.includes(finding),
  );
  // A daemon that restarts often shows the same again and again.
  const isNew = JSON.stringify(view) !== JSON.stringify(before?.actual);
  const due = operation === 'reconnect' ? [...missed.fresh, ...(before?.unset ?? [])] : [];
  // What has yet to be acted on is not noted as it is before that is done.
  const isFirst = operation === 'reconnect' && !before?.actual;
  const isDone = isNew && due.length === 0 && !isFirst;
  write(uuid, lineOf(operation, domain, hook, isDone ? { view, findings } : { findings }), hook);
  const called = await callContext(domain, hook, { view, incoming: before?.incoming ?? false });
  const guest = { ...called, paused: isPaused(operation, called, hook) };
  await leaveToAgent(operation, guest, hook);
  const access = operation === 'start' ? await grantAccess(guest, hook) : await accessOf(guest, hook);
  const ports = before?.ports ?? [];
  const made = due.length === 0 && !isFirst ? undefined : await actOnMissed(guest, { ports, due, isFirst });
  const problems = operation === 'reconnect' ? await repairGuest(guest) : await act(operation, guest);
  const told = [...access, ...(made?.told ?? []), ...problems].filter(finding => !before?.findings.includes(finding));
  const noted = made && { view, unset: made.unset };
  if (noted !== undefined || told.length > 0)
    write(uuid, lineOf(operation, domain, hook, { ...noted, findings: told }), hook);
}

/** On a migration's destination, after a restore and with --paused, the CPUs are paused although QEMU has started. */
function isPaused(operation: Following, { domain, config, incoming }: CallContext, { runState }: HookContext): boolean {
  if (operation === 'start') return true;
  const state = runState(domain.name);
  return state === undefined ? incoming : !isOpen(state, config.reachability);
}

const nothingMissed: DeviceNews = { news: [], findings: [], fresh: new Set() };

/** What nobody has followed, by MAC or address; or all, if nobody has ever looked. */
interface Missed {
  readonly ports: GuestRecord['ports'];
  readonly due: readonly string[];
  readonly isFirst: boolean;
}

/**
 * Devices came or were connected to something else, and nobody was there to follow: they are set before what is applied is
 * repaired, since that may be of what they were before. Those that are gone are the agent's, who knows if somebody is at it.
 */
async function actOnMissed(
  guest: CallContext,
  { ports, due, isFirst }: Missed,
): Promise<{ readonly told: readonly string[]; readonly unset: readonly string[] }> {
  try {
    if (guest.configProblem !== undefined) throw guest.configProblem;
    if (isPassive(guest.config)) return { told: [], unset: [] };
    const now = { ports, fresh: new Set(due), isFirst, takesBack: false };
    const { told, applied, unset } = await actOnDevices(guest, now);
    return { told: [...told, ...applied], unset };
  } catch (error) {
    return { told: [errorLine(error)], unset: due };
  }
}

/** QEMU opens its devices before anybody calls us again. */
async function grantAccess(guest: CallContext, { accessRules, letQemuOpen }: HookContext): Promise<string[]> {
  const nodes = nodesToGrant(guest, accessRules);
  if (nodes.length > 0) await letQemuOpen(guest.domain.name, nodes);
  return [];
}

/** Looking is not worth failing for: the guest runs. */
async function accessOf(guest: CallContext, { log }: HookContext): Promise<string[]> {
  return accessFindings(guest).catch(error => {
    log.warn(`${guest.domain.owner}: ${errorLine(error)}`);
    return [];
  });
}

function findDifferences(operation: QemuOperation, before: GuestRecord | undefined, view: GuestView): string[] {
  if (operation === 'reconnect') return before?.actual ? compareRunning(before.actual, view) : [];
  const expected = before?.actual ?? before?.predicted;
  return expected ? compareViews(expected, view) : [];
}
