import { compareRunning, compareViews, foldRecord, type GuestRecord, type RecordLine } from '../apply/record.ts';
import { type Domain, readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { ActualnetError } from '../report/error.ts';
import { findLostPorts } from '../resolve/claim.ts';
import { resolveGuest } from '../resolve/guest.ts';
import { type GuestView, viewGuest } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { parseXml } from '../xml/document.ts';
import type { HookContext, Invocation } from './dispatch.ts';
import type { QemuOperation } from './phases.ts';

/** Answers one call of the qemu hook. Returns the document libvirt is to use instead, or nothing. */
export function handleQemu(operation: QemuOperation, invocation: Invocation, context: HookContext): string {
  if (operation === 'attach') return '';
  if (operation === 'stopped' || operation === 'release') {
    leave(operation, invocation, context);
    return '';
  }
  const domain = readDomain(parseXml(invocation.readStdin()));
  const guest = guestUuid(domain);
  switch (operation) {
    case 'migrate':
    case 'restore':
      context.memory.announce(guest, lineOf(operation, domain, context, { view: viewOf(domain, context) }));
      return '';
    case 'prepare':
      prepare(guest, domain, context);
      return '';
    case 'start':
    case 'started':
    case 'reconnect':
      noteChosen(operation, guest, domain, context);
      return '';
  }
}

/** A new life begins: whatever an earlier one left is dropped, and what every interface will be is written down. */
function prepare(guest: Uuid, domain: Domain, context: HookContext): void {
  const { memory } = context;
  const incoming = memory.takeAnnouncement(guest) !== undefined;
  memory.removeRecord(guest);
  const view = viewOf(domain, context);
  const findings = [
    ...view.interfaces.flatMap(({ error }) =>
      error ? `${error.message.replace(`${domain.owner}, `, '')} [${error.code}]` : [],
    ),
    ...checkHostdevs(view),
  ];
  write(guest, lineOf('prepare', domain, context, { view, findings, incoming }), context);
}

/** The document shows the actual connections now: keep them, and say where they differ from what was foreseen. */
function noteChosen(operation: QemuOperation, guest: Uuid, domain: Domain, context: HookContext): void {
  const view = viewOf(domain, context);
  const before = foldRecord(guest, context.memory.readRecord(guest));
  const differences = findDifferences(operation, before, view);
  const lost = operation === 'reconnect' ? findLostPorts(domain, context.memory.findNetwork) : [];
  const findings = [...differences, ...lost, ...checkHostdevs(view)].filter(
    finding => !before?.findings.includes(finding),
  );
  // A daemon that restarts often shows the same again and again.
  const isNew = JSON.stringify(view) !== JSON.stringify(before?.chosen);
  write(guest, lineOf(operation, domain, context, isNew ? { view, findings } : { findings }), context);
}

function findDifferences(operation: QemuOperation, before: GuestRecord | undefined, view: GuestView): string[] {
  if (operation === 'reconnect') return before?.chosen ? compareRunning(before.chosen, view) : [];
  const expected = before?.chosen ?? before?.foreseen;
  return expected ? compareViews(expected, view) : [];
}

/** The guest has ended. A start that failed early gets here without a record: then there is nothing to do. */
function leave(operation: 'stopped' | 'release', invocation: Invocation, context: HookContext): void {
  const { memory } = context;
  const guest = leavingGuest(invocation, memory);
  const record = foldRecord(guest, memory.readRecord(guest));
  if (operation === 'release') {
    // libvirt has deleted the ports before; one that is still here lost its port-deleted call.
    for (const port of record?.ports ?? []) memory.forgetPort(port.network, port.uuid);
    memory.removeRecord(guest);
  } else if (record !== undefined) {
    memory.appendRecord(guest, { at: new Date(context.now()).toISOString(), op: operation, name: record.name });
  }
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

function viewOf(domain: Domain, { memory, libvirtVersion }: HookContext): GuestView {
  return viewGuest(domain, resolveGuest(domain, { findNetwork: memory.findNetwork, version: libvirtVersion }));
}

function write(guest: Uuid, line: RecordLine, { memory, log }: HookContext): void {
  memory.appendRecord(guest, line);
  if ('name' in line)
    for (const finding of line.findings ?? []) log.warn(`guest '${line.name}', ${line.op}: ${finding}`);
}

function lineOf(
  op: string,
  domain: Domain,
  context: HookContext,
  rest: { view?: GuestView; findings?: readonly string[]; incoming?: boolean },
): RecordLine {
  const { findings, incoming, ...view } = rest;
  return {
    at: new Date(context.now()).toISOString(),
    op,
    name: domain.name,
    ...view,
    ...(findings?.length ? { findings } : {}),
    ...(incoming ? { incoming } : {}),
  };
}

function guestUuid(domain: Domain): Uuid {
  if (domain.uuid === undefined) throw new ActualnetError('XML_VALUE', `${domain.owner}: the document has no <uuid>`);
  return domain.uuid;
}
