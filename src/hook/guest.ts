import { readRequests } from '../config/requests.ts';
import { actOnGuest, type GuestContext, type PlannedPhase } from '../guest/guest.ts';
import type { RecordLine } from '../guest/record.ts';
import type { Domain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { isPassive } from '../plan/plan.ts';
import { ActualnetError } from '../report/error.ts';
import type { HookContext } from './dispatch.ts';

/** A guest as a call shows it. */
export type CallContext = Pick<GuestContext, 'uuid' | 'domain' | 'view' | 'incoming' | 'paused'>;

/** Plans and carries out, unless the configuration asks for nothing. */
export async function act(
  phase: PlannedPhase,
  guest: CallContext,
  { config: readConfig, effects }: HookContext,
): Promise<string[]> {
  const config = await readConfig();
  const outdated = config.outdated === undefined ? [] : [config.outdated];
  if (isPassive(config)) return outdated;
  const { requests, refusals } = readRequests(guest.domain, config.guests);
  return [...outdated, ...refusals, ...(await actOnGuest(phase, { ...guest, config, requests, effects }))];
}

/** More findings of one call than anybody reads in a log; all of them are in the record. */
const maxLogged = 20;

/** Adds a line to a guest's record; its findings go to the log, too. */
export function write(guest: Uuid, line: RecordLine, { memory, log }: HookContext): void {
  memory.appendRecord(guest, line);
  if (!('name' in line)) return;
  const findings = line.findings ?? [];
  for (const finding of findings.slice(0, maxLogged)) log.warn(`guest '${line.name}', ${line.op}: ${finding}`);
  const more = findings.length - maxLogged;
  if (more > 0) log.warn(`guest '${line.name}', ${line.op}: and ${more} findings more`);
}

/** Throws `XML_VALUE` without one: records are kept by it. */
export function guestUuid(domain: Domain): Uuid {
  if (domain.uuid === undefined) throw new ActualnetError('XML_VALUE', `${domain.owner}: the document has no <uuid>`);
  return domain.uuid;
}
