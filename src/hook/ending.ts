import { uuidOf } from '../guest/context.ts';
import { closeReach, undoAll } from '../guest/phases.ts';
import { foldRecord } from '../guest/record.ts';
import { readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { parseXml } from '../xml/document.ts';
import type { HookContext, Invocation } from './context.ts';

/**
 * QEMU has ended. A start that failed early gets here without a record: then there is nothing to do, nor if the guest runs
 * on in another QEMU of this host.
 */
export async function noteStopped(invocation: Invocation, context: HookContext): Promise<void> {
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
export async function release(invocation: Invocation, context: HookContext): Promise<void> {
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
  const { leftAlone, problems } = await undoAll(guest, context.effects);
  for (const line of [...leftAlone, ...problems]) log.warn(`guest '${record?.name ?? guest}', release: ${line}`);
  memory.removeRecord(guest);
}

function isoTime({ now }: HookContext): string {
  return new Date(now()).toISOString();
}

/** The guest's uuid from stdin; if that cannot be read, the one recorded guest of that name: an ending must not depend on stdin. */
function leavingGuest(invocation: Invocation, memory: HookContext['memory']): Uuid {
  try {
    return uuidOf(readDomain(parseXml(invocation.readStdin())));
  } catch (error) {
    const named = memory
      .listRecords()
      .filter(uuid => foldRecord(uuid, memory.readRecord(uuid))?.name === invocation.object);
    if (named.length !== 1) throw error;
    return named[0]!;
  }
}
