import { actOnDevices } from '../apply/devices.ts';
import {
  accessFindings,
  actOnGuest,
  closeReach,
  type GuestAtHand,
  nodesToGrant,
  obstaclesOf,
  type PlannedPhase,
  repairGuest,
  undoAll,
} from '../apply/guest.ts';
import {
  compareRunning,
  compareViews,
  foldRecord,
  type GuestRecord,
  type RecordLine,
  withNetworks,
} from '../apply/record.ts';
import { defaultConfig } from '../config/config.ts';
import { readWishes } from '../config/wishes.ts';
import { type Domain, readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { isPassive } from '../plan/plan.ts';
import { ActualnetError, errorLine } from '../report/error.ts';
import { findLostPorts } from '../resolve/claim.ts';
import { compareDevices, type DeviceNews } from '../transform/devices.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { parseXml } from '../xml/document.ts';
import type { HookContext, Invocation } from './dispatch.ts';
import { leaveToWitness } from './leave-to-witness.ts';
import type { QemuOperation } from './phases.ts';
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

/**
 * A new life begins: what an earlier one left is undone, unless that one still runs here, and what every interface will be
 * is written down.
 */
async function prepare(guest: Uuid, domain: Domain, context: HookContext): Promise<void> {
  const { memory } = context;
  const announcement = memory.listAnnouncements().find(announced => announced.guest === guest)?.line;
  const announced = foldRecord(guest, [announcement]);
  const incoming = announcement !== undefined && !isDefinedSince(announced, domain, context);
  const { rewritten, picks } = (incoming ? announced : undefined) ?? {};
  const beside = incoming && runsHere(guest, context);
  if (!beside) await endEarlierLife(guest, domain, context);
  const view = viewOf(domain, context);
  const findings = [
    ...view.interfaces.flatMap(({ error }) =>
      error ? `${error.message.replace(`${domain.owner}, `, '')} [${error.code}]` : [],
    ),
    ...checkHostdevs(view),
  ];
  write(guest, lineOf('prepare', domain, context, { view, findings, incoming, beside, rewritten, picks }), context);
  memory.takeAnnouncement(guest);
  const atHand = { uuid: guest, domain, view, incoming, halted: true };
  await refuseImpossible(atHand, context);
  const told = await act('prepare', atHand, context);
  // A device that has just been bound has a node that could not be named before.
  if ((await context.config()).hostdevs.bind) await refuseImpossible(atHand, context);
  if (told.length > 0) write(guest, lineOf('prepare', domain, context, { findings: told }), context);
}

/**
 * Whether a guest that was announced has been defined since: it came with its definition alone, by an offline migration, or
 * not at all, and what starts now starts here. A definition from the future was written under another clock.
 */
function isDefinedSince(announced: GuestRecord | undefined, { name }: Domain, context: HookContext): boolean {
  const definedMs = context.definedMs(name);
  if (announced === undefined || definedMs === undefined) return false;
  return definedMs > Date.parse(announced.since) && definedMs <= context.now();
}

/** Its source on this same host: what is in force for that one stays, and becomes the newcomer's. */
function runsHere(guest: Uuid, { memory, effects, runState }: HookContext): boolean {
  const source = foldRecord(guest, memory.readRecord(guest));
  return source !== undefined && runState(source.name) !== undefined && !effects.isGone(guest);
}

async function endEarlierLife(guest: Uuid, domain: Domain, { memory, effects, log }: HookContext): Promise<void> {
  const { left, problems } = await undoAll(guest, effects);
  for (const line of [...left, ...problems]) log.warn(`${domain.owner}, left from an earlier life: ${line}`);
  memory.removeRecord(guest);
}

/**
 * A host device that cannot be had ends the start here, with the reason in plain words: libvirt or QEMU would fail on it a
 * little later. What was foreseen from our own count of a pool is looked at again with libvirt's before anything is refused.
 */
async function refuseImpossible(guest: AtHand, context: HookContext): Promise<void> {
  const { domain } = guest;
  const first = await findRefusals(guest, context);
  const isForeseen = guest.view.interfaces.some(({ network }) => network !== null);
  const again = () => ({ ...guest, view: viewOf(domain, context, context.memory.findLibvirtNetwork) });
  const refusals = first.length > 0 && isForeseen ? await findRefusals(again(), context) : first;
  const [refusal, ...others] = refusals;
  if (refusal === undefined) return;
  const findings = others.map(errorLine);
  if (findings.length > 0) write(guest.uuid, lineOf('prepare', domain, context, { findings }), context);
  throw refusal;
}

async function findRefusals(guest: AtHand, context: HookContext): Promise<ActualnetError[]> {
  const { domain, view } = guest;
  const unresolved = view.interfaces.flatMap(({ error }) =>
    error?.code === 'POOL_EXHAUSTED' || error?.code === 'DEVICE_TWICE'
      ? new ActualnetError(error.code, error.message.replace(`${domain.owner}, `, ''), {
          hint: error.hint ?? undefined,
        })
      : [],
  );
  const config = await context.config();
  const obstacles = await obstaclesOf({ ...guest, config, wishes: [], effects: context.effects }, context.accessRules);
  return [...unresolved, ...obstacles];
}

type AtHand = Pick<GuestAtHand, 'uuid' | 'domain' | 'view' | 'incoming' | 'halted'>;

/** The document shows the actual connections now: keep them, say where they differ from what was foreseen, act on them. */
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
  const missed = operation === 'reconnect' && before?.chosen ? compareDevices(before.chosen, view) : nothingMissed;
  for (const line of missed.news) context.log.info(`${domain.owner}, ${operation}: ${line}`);
  const findings = [...differences, ...missed.findings, ...lost, ...checkHostdevs(view)].filter(
    finding => !before?.findings.includes(finding),
  );
  // A daemon that restarts often shows the same again and again.
  const isNew = JSON.stringify(view) !== JSON.stringify(before?.chosen);
  const due = operation === 'reconnect' ? [...missed.fresh, ...(before?.unset ?? [])] : [];
  // What has yet to be acted on is not noted as it is before that is done.
  const isDone = isNew && due.length === 0;
  write(guest, lineOf(operation, domain, context, isDone ? { view, findings } : { findings }), context);
  // On a migration's destination, after a restore and with --paused, the CPUs stand still although QEMU has started.
  const state = operation === 'start' ? 'paused' : context.runState(domain.name);
  const { incoming = false } = before ?? {};
  const halted = state === undefined ? incoming : state !== 'running';
  const atHand = { uuid: guest, domain, view, incoming, halted };
  await leaveToWitness(operation, atHand, context);
  const access = operation === 'start' ? await grantAccess(atHand, context) : await accessOf(atHand, context);
  const ports = before?.ports ?? [];
  const made = due.length === 0 ? undefined : await actOnMissed(atHand, { ports, due }, context);
  const problems =
    operation === 'reconnect'
      ? await repairGuest({ uuid: guest, domain, effects: context.effects })
      : await act(operation, atHand, context);
  const told = [...access, ...(made?.told ?? []), ...problems].filter(finding => !before?.findings.includes(finding));
  const noted = made && { view, unset: made.unset };
  if (noted !== undefined || told.length > 0)
    write(guest, lineOf(operation, domain, context, { ...noted, findings: told }), context);
}

const nothingMissed: DeviceNews = { news: [], findings: [], fresh: new Set() };

/**
 * Devices came or were connected to something else, and nobody was there to follow: they are set before what is in force is
 * repaired, since that may be of what they were before. Those that are gone are the witness's, who knows if somebody is at it.
 */
async function actOnMissed(
  guest: AtHand,
  { ports, due }: { readonly ports: GuestRecord['ports']; readonly due: readonly string[] },
  { config: readConfig, effects }: HookContext,
): Promise<{ readonly told: readonly string[]; readonly unset: readonly string[] }> {
  try {
    const config = await readConfig();
    if (isPassive(config)) return { told: [], unset: [] };
    const { wishes } = readWishes(guest.domain, config.guests);
    const now = { ports, fresh: new Set(due), takesBack: false };
    const { told, inForce, unset } = await actOnDevices({ ...guest, config, wishes, effects }, now);
    return { told: [...told, ...inForce], unset };
  } catch (error) {
    return { told: [errorLine(error)], unset: due };
  }
}

/** QEMU opens its devices before anybody calls us again. */
async function grantAccess(guest: AtHand, { effects, accessRules, letQemuOpen }: HookContext): Promise<string[]> {
  const nodes = await nodesToGrant({ ...guest, config: defaultConfig, wishes: [], effects }, accessRules);
  if (nodes.length > 0) await letQemuOpen(guest.domain.name, nodes);
  return [];
}

/** Looking is not worth failing for: the guest runs. */
async function accessOf(guest: AtHand, { effects, log }: HookContext): Promise<string[]> {
  return accessFindings({ ...guest, config: defaultConfig, wishes: [], effects }).catch(error => {
    log.warn(`${guest.domain.owner}: ${errorLine(error)}`);
    return [];
  });
}

/** Plans and carries out, unless the configuration asks for nothing. */
async function act(
  phase: PlannedPhase,
  guest: AtHand,
  { config: readConfig, effects }: HookContext,
): Promise<string[]> {
  const config = await readConfig();
  if (isPassive(config)) return [];
  const { wishes, refusals } = readWishes(guest.domain, config.guests);
  return [...refusals, ...(await actOnGuest(phase, { ...guest, config, wishes, effects }))];
}

function findDifferences(operation: QemuOperation, before: GuestRecord | undefined, view: GuestView): string[] {
  if (operation === 'reconnect') return before?.chosen ? compareRunning(before.chosen, view) : [];
  const expected = before?.chosen ?? before?.foreseen;
  return expected ? compareViews(expected, view) : [];
}

/**
 * QEMU has ended. A start that failed early gets here without a record: then there is nothing to do, nor if the guest runs
 * on in another QEMU of this host.
 */
async function noteStopped(invocation: Invocation, context: HookContext): Promise<void> {
  const { memory, effects, log } = context;
  const guest = leavingGuest(invocation, memory);
  const record = foldRecord(guest, memory.readRecord(guest));
  if (record === undefined || record.beside) return;
  memory.appendRecord(guest, { at: isoTime(context), op: 'stopped', name: record.name });
  for (const line of await closeReach(guest, effects)) log.warn(`guest '${record.name}', stopped: ${line}`);
}

/**
 * The guest is gone: everything is undone and the record ends. What could not be undone stays in the ledger. Of two QEMUs on
 * this host the one that remains has it all.
 */
async function release(invocation: Invocation, context: HookContext): Promise<void> {
  const { memory, log } = context;
  const guest = leavingGuest(invocation, memory);
  const record = foldRecord(guest, memory.readRecord(guest));
  if (record?.beside) {
    memory.appendRecord(guest, { at: isoTime(context), op: 'alone', name: record.name, beside: false });
    return;
  }
  // Nothing is given to it any more, whatever it says of itself: what it leaves must not wait for it.
  if (record !== undefined && record.phase !== 'stopped')
    memory.appendRecord(guest, { at: isoTime(context), op: 'stopped', name: record.name });
  // libvirt has deleted the ports before; one that is still here lost its port-deleted call.
  for (const port of record?.ports ?? []) memory.forgetPort(port.network, port.uuid);
  const { left, problems } = await undoAll(guest, context.effects);
  for (const line of [...left, ...problems]) log.warn(`guest '${record?.name ?? guest}', release: ${line}`);
  memory.removeRecord(guest);
}

function isoTime({ now }: HookContext): string {
  return new Date(now()).toISOString();
}

/** The guest's uuid from stdin; if that cannot be read, the one recorded guest of that name: an ending must not depend on stdin. */
function leavingGuest(invocation: Invocation, memory: HookContext['memory']): Uuid {
  try {
    return guestUuid(readDomain(parseXml(invocation.readStdin())));
  } catch (error) {
    const named = memory
      .listRecords()
      .filter(uuid => foldRecord(uuid, memory.readRecord(uuid))?.name === invocation.object);
    if (named.length !== 1) throw error;
    return named[0]!;
  }
}

/** More findings of one call than anybody reads in a log; all of them are in the record. */
const maxLogged = 20;

function write(guest: Uuid, line: RecordLine, { memory, log }: HookContext): void {
  memory.appendRecord(guest, line);
  if (!('name' in line)) return;
  const findings = line.findings ?? [];
  for (const finding of findings.slice(0, maxLogged)) log.warn(`guest '${line.name}', ${line.op}: ${finding}`);
  const more = findings.length - maxLogged;
  if (more > 0) log.warn(`guest '${line.name}', ${line.op}: and ${more} findings more`);
}

function guestUuid(domain: Domain): Uuid {
  if (domain.uuid === undefined) throw new ActualnetError('XML_VALUE', `${domain.owner}: the document has no <uuid>`);
  return domain.uuid;
}
