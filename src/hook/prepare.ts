import { guestContext, refresh, uuidOf, viewOf } from '../guest/context.ts';
import { undoAll } from '../guest/phases.ts';
import { predictStart } from '../guest/predict.ts';
import { foldRecord, type GuestRecord } from '../guest/record.ts';
import type { Domain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { errorLine } from '../report/error.ts';
import { findTeamFaults } from '../resolve/team.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import type { HookContext } from './context.ts';
import { act, type CallContext, callContext, resolvingOf, write } from './guest.ts';
import { lineOf } from './record-lines.ts';

/**
 * A new life begins: what an earlier one left is undone, unless that one still runs here, and what every interface will be
 * is written down.
 */
export async function prepare(domain: Domain, context: HookContext): Promise<void> {
  const { memory } = context;
  const guest = uuidOf(domain);
  const announcement = memory.listAnnouncements().find(announced => announced.guest === guest)?.line;
  const announced = foldRecord(guest, [announcement]);
  const incoming = announcement !== undefined && !isDefinedSince(announced, domain, context);
  const { rewritten, picks } = (incoming ? announced : undefined) ?? {};
  const beside = incoming && runsHere(guest, context);
  if (!beside) await endEarlierLife(guest, domain, context);
  const view = viewOf(domain, resolvingOf(context));
  const findings = [
    ...[...view.interfaces, ...view.hostdevs].flatMap(({ error }) =>
      error ? `${error.message.replace(`${domain.owner}, `, '')} [${error.code}]` : [],
    ),
    ...checkHostdevs(view),
    ...findTeamFaults(domain),
  ];
  write(guest, lineOf('prepare', domain, context, { view, findings, incoming, beside, rewritten, picks }), context);
  memory.takeAnnouncement(guest);
  const called = await callContext(domain, context, { view, incoming, paused: true });
  const predicted = await refuseImpossible(called, context);
  const told = [...predicted, ...(await act('prepare', called))];
  // A device that has just been bound has a node that could not be named before.
  if (called.config.hostdevs.bind) await refuseImpossible({ ...called, ...(await refresh(called)) }, context);
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

/** Its source on this same host: what is applied for that one stays, and becomes the newcomer's. */
function runsHere(guest: Uuid, { memory, effects, runState }: HookContext): boolean {
  const source = foldRecord(guest, memory.readRecord(guest));
  return source !== undefined && runState(source.name) !== undefined && !effects.isGone(guest);
}

async function endEarlierLife(guest: Uuid, domain: Domain, { memory, effects, log }: HookContext): Promise<void> {
  const { leftAlone, problems } = await undoAll(guest, effects);
  for (const line of [...leftAlone, ...problems]) log.warn(`${domain.owner}, left from an earlier life: ${line}`);
  memory.removeRecord(guest);
}

/** What cannot be had ends the start here, with the reason in plain words. Answers what is only to be told. */
async function refuseImpossible(guest: CallContext, context: HookContext): Promise<readonly string[]> {
  const { domain, config, configProblem, effects, incoming } = guest;
  const { accessRules, memory, libvirtVersion: version } = context;
  if (configProblem !== undefined) throw configProblem;
  const planning = { config, effects, findNetwork: memory.findLibvirtNetwork, version };
  const { refusals, findings } = await predictStart(guest, {
    findNetwork: memory.findNetwork,
    accessRules,
    byLibvirt: () => guestContext(domain, planning, { incoming, paused: true }),
  });
  const [refusal, ...others] = refusals;
  if (refusal === undefined) return findings;
  const lines = others.map(other => errorLine(other));
  if (lines.length > 0) write(guest.uuid, lineOf('prepare', domain, context, { findings: lines }), context);
  throw refusal;
}
