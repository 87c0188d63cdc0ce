import { defaultConfig } from '../config/config.ts';
import { readRequests } from '../config/requests.ts';
import { actOnDevices } from '../guest/devices.ts';
import { accessFindings, nodesToGrant, repairGuest } from '../guest/guest.ts';
import { compareRunning, compareViews, foldRecord, type GuestRecord, withNetworks } from '../guest/record.ts';
import { type Domain, readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { isPassive } from '../plan/plan.ts';
import { isOpen } from '../plan/reach.ts';
import { errorLine } from '../report/error.ts';
import { findLostPorts } from '../resolve/claim.ts';
import { compareDevices, type DeviceNews } from '../transform/devices.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { parseXml } from '../xml/document.ts';
import type { HookContext, Invocation } from './dispatch.ts';
import { noteStopped, release } from './ending.ts';
import { act, type CallContext, guestUuid, write } from './guest.ts';
import { leaveToAgent } from './leave-to-agent.ts';
import type { QemuOperation } from './phases.ts';
import { prepare } from './prepare.ts';
import { receive } from './receive.ts';
import { lineOf, viewOf } from './record-lines.ts';

/** Answers one call of the qemu hook. Returns the document libvirt is to use instead, or nothing. */
export async function handleQemu(
  operation: QemuOperation,
  invocation: Invocation,
  context: HookContext,
): Promise<string> {
  switch (operation) {
    case 'attach':
      return '';
    case 'stopped':
      await noteStopped(invocation, context);
      return '';
    case 'release':
      await release(invocation, context);
      return '';
    default:
  }
  const document = parseXml(invocation.readStdin());
  const domain = readDomain(document);
  const guest = guestUuid(domain);
  switch (operation) {
    case 'migrate':
    case 'restore':
      return receive(operation, guest, document, context);
    case 'prepare':
      await prepare(guest, domain, context);
      return '';
    case 'start':
    case 'started':
    case 'reconnect':
      await follow(operation, guest, domain, context);
      return '';
  }
}

/** The document shows the actual connections now: keep them, say where they differ from what was predicted, act on them. */
async function follow(
  operation: 'start' | 'started' | 'reconnect',
  guest: Uuid,
  domain: Domain,
  context: HookContext,
): Promise<void> {
  const before = foldRecord(guest, context.memory.readRecord(guest));
  const view = withNetworks(viewOf(domain, context), before);
  const differences = findDifferences(operation, before, view);
  const lost = operation === 'reconnect' ? findLostPorts(domain, context.memory.findNetwork) : [];
  // A guest that ran before there was anybody to record it gets what one gets that starts now.
  const missed = operation === 'reconnect' ? compareDevices(before?.actual ?? null, view) : nothingMissed;
  for (const line of missed.news) context.log.info(`${domain.owner}, ${operation}: ${line}`);
  const findings = [...differences, ...missed.findings, ...lost, ...checkHostdevs(view)].filter(
    finding => !before?.findings.includes(finding),
  );
  // A daemon that restarts often shows the same again and again.
  const isNew = JSON.stringify(view) !== JSON.stringify(before?.actual);
  const due = operation === 'reconnect' ? [...missed.fresh, ...(before?.unset ?? [])] : [];
  // What has yet to be acted on is not noted as it is before that is done.
  const isFirst = operation === 'reconnect' && !before?.actual;
  const isDone = isNew && due.length === 0 && !isFirst;
  write(guest, lineOf(operation, domain, context, isDone ? { view, findings } : { findings }), context);
  const { incoming = false } = before ?? {};
  const paused = await isHalted(operation, domain, { incoming, context });
  const atHand = { uuid: guest, domain, view, incoming, paused };
  await leaveToAgent(operation, atHand, context);
  const access = operation === 'start' ? await grantAccess(atHand, context) : await accessOf(atHand, context);
  const ports = before?.ports ?? [];
  const made = due.length === 0 && !isFirst ? undefined : await actOnMissed(atHand, { ports, due, isFirst }, context);
  const problems =
    operation === 'reconnect'
      ? await repairGuest({ uuid: guest, domain, effects: context.effects })
      : await act(operation, atHand, context);
  const told = [...access, ...(made?.told ?? []), ...problems].filter(finding => !before?.findings.includes(finding));
  const noted = made && { view, unset: made.unset };
  if (noted !== undefined || told.length > 0)
    write(guest, lineOf(operation, domain, context, { ...noted, findings: told }), context);
}

/** On a migration's destination, after a restore and with --paused, the CPUs are paused although QEMU has started. */
async function isHalted(
  operation: QemuOperation,
  { name }: Domain,
  { incoming, context }: { readonly incoming: boolean; readonly context: HookContext },
): Promise<boolean> {
  if (operation === 'start') return true;
  const state = context.runState(name);
  if (state === undefined) return incoming;
  const { reachability } = await context.config().catch(() => defaultConfig);
  return !isOpen(state, reachability);
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
  { config: readConfig, effects }: HookContext,
): Promise<{ readonly told: readonly string[]; readonly unset: readonly string[] }> {
  try {
    const config = await readConfig();
    if (isPassive(config)) return { told: [], unset: [] };
    const { requests } = readRequests(guest.domain, config.guests);
    const now = { ports, fresh: new Set(due), isFirst, takesBack: false };
    const { told, applied, unset } = await actOnDevices({ ...guest, config, requests, effects }, now);
    return { told: [...told, ...applied], unset };
  } catch (error) {
    return { told: [errorLine(error)], unset: due };
  }
}

/** QEMU opens its devices before anybody calls us again. */
async function grantAccess(guest: CallContext, { effects, accessRules, letQemuOpen }: HookContext): Promise<string[]> {
  const nodes = await nodesToGrant({ ...guest, config: defaultConfig, requests: [], effects }, accessRules);
  if (nodes.length > 0) await letQemuOpen(guest.domain.name, nodes);
  return [];
}

/** Looking is not worth failing for: the guest runs. */
async function accessOf(guest: CallContext, { effects, log }: HookContext): Promise<string[]> {
  return accessFindings({ ...guest, config: defaultConfig, requests: [], effects }).catch(error => {
    log.warn(`${guest.domain.owner}: ${errorLine(error)}`);
    return [];
  });
}

function findDifferences(operation: QemuOperation, before: GuestRecord | undefined, view: GuestView): string[] {
  if (operation === 'reconnect') return before?.actual ? compareRunning(before.actual, view) : [];
  const expected = before?.actual ?? before?.predicted;
  return expected ? compareViews(expected, view) : [];
}
