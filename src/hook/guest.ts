import { defaultConfig } from '../config/config.ts';
import { type GuestContext, type GuestMoment, guestContext, type Planning } from '../guest/context.ts';
import { actOnGuest, type PlannedPhase } from '../guest/phases.ts';
import type { RecordLine } from '../guest/record.ts';
import type { Domain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { isPassive } from '../plan/plan.ts';
import type { HookContext } from './context.ts';

/** A guest as a call shows it. Its configuration may be one that asks for nothing, since the administrator's has a mistake. */
export interface CallContext extends GuestContext {
  /** Why there is no configuration: to be thrown where something would be done by it. */
  readonly configProblem: unknown;
}

/** The guest of a call, on the host as it is now. */
export async function callContext(domain: Domain, hook: HookContext, moment: GuestMoment): Promise<CallContext> {
  const { config, problem: configProblem } = await hook.config().then(
    config => ({ config, problem: undefined }),
    problem => ({ config: defaultConfig, problem }),
  );
  return {
    ...(await guestContext(domain, { ...resolvingOf(hook), config, effects: hook.effects }, moment)),
    configProblem,
  };
}

/** How the document of a call is read. */
export function resolvingOf({ memory, libvirtVersion }: HookContext): Pick<Planning, 'findNetwork' | 'version'> {
  return { findNetwork: memory.findNetwork, version: libvirtVersion };
}

/** Plans and carries out, unless the configuration asks for nothing. Throws if it has a mistake. */
export async function act(phase: PlannedPhase, guest: CallContext): Promise<string[]> {
  const { config, configProblem, refusedRequests } = guest;
  if (configProblem !== undefined) throw configProblem;
  const outdated = config.outdated === undefined ? [] : [config.outdated];
  if (isPassive(config)) return outdated;
  return [...outdated, ...refusedRequests, ...(await actOnGuest(phase, guest))];
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
