import { type AccessRules, accessNodes, findMissingAccess } from '../plan/access.ts';
import { findObstacles } from '../plan/hostdevs.ts';
import { findTakenMacs, needsTable } from '../plan/mac-holders.ts';
import { isPassive, type PlanContext } from '../plan/plan.ts';
import { type Moment, settingFindings, settingRefusals } from '../plan/settings.ts';
import { ActualnetError, errorLine } from '../report/error.ts';
import type { Effects } from './effects.ts';
import { contextOf, type GuestAtHand, hasCommandLine } from './guest.ts';

/**
 * What keeps a guest from starting, as far as it can be foreseen: libvirt or QEMU would fail on it a little later, or the
 * guest would run without what keeps it apart from others.
 */
export async function startRefusals(
  guest: GuestAtHand,
  readRules: () => AccessRules | undefined,
): Promise<ActualnetError[]> {
  const { domain, view } = guest;
  const unresolved = view.interfaces.flatMap(({ error }) =>
    error?.code === 'POOL_EXHAUSTED' || error?.code === 'DEVICE_TWICE'
      ? new ActualnetError(error.code, error.message.replace(`${domain.owner}, `, ''), {
          hint: error.hint ?? undefined,
        })
      : [],
  );
  return [...unresolved, ...(await obstaclesOf(guest, readRules)), ...(await refusedSettings(guest, 'foreseen'))];
}

/** A line for each setting that the guest will start without. */
export async function startFindings(guest: GuestAtHand, moment: Moment): Promise<string[]> {
  if (isPassive(guest.config)) return [];
  const { devices, config } = contextOf(guest, await guest.effects.view({}));
  return settingFindings(devices, config, moment);
}

/** What a running guest is without: its settings, and what is to be its MAC alone. */
export async function runningFindings(guest: GuestAtHand): Promise<string[]> {
  if (isPassive(guest.config)) return [];
  const context = await withTable(contextOf(guest, await guest.effects.view({})), guest.effects);
  return [
    ...settingFindings(context.devices, context.config, 'runs'),
    ...findTakenMacs(context).map(error => errorLine(error)),
  ];
}

/** Settings that some of the devices cannot have and must, and MACs that are somebody else's. */
export async function refusedSettings(guest: GuestAtHand, moment: Moment): Promise<ActualnetError[]> {
  if (isPassive(guest.config)) return [];
  return refusedOf(contextOf(guest, await guest.effects.view({})), guest.effects, moment);
}

export async function refusedOf(context: PlanContext, effects: Effects, moment: Moment): Promise<ActualnetError[]> {
  const { devices, config } = context;
  return [...settingRefusals(devices, config, moment), ...findTakenMacs(await withTable(context, effects))];
}

/** The forwarding table costs a process, and is read only where something is going to be written into it. */
async function withTable(context: PlanContext, effects: Effects): Promise<PlanContext> {
  return needsTable(context) ? { ...context, host: await effects.view({ fdb: true }) } : context;
}

/** What keeps a guest's host devices, foreseen or chosen, from being given to it. */
async function obstaclesOf(guest: GuestAtHand, readRules: () => AccessRules | undefined): Promise<ActualnetError[]> {
  const { domain, view, effects } = guest;
  if (view.hostdevs.length === 0 && !hasCommandLine(domain)) return [];
  const context = contextOf(guest, await effects.view({}));
  const nodes = accessNodes(domain, context.devices, context.host).filter(({ byLibvirt }) => !byLibvirt);
  const rules = nodes.length === 0 ? undefined : readRules();
  const access = rules?.closed ? findMissingAccess(nodes, rules) : [];
  return [...findObstacles(context, domain.name), ...access];
}
