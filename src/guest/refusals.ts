import type { Effects } from '../journal/effects.ts';
import { refusedRequests } from '../plan/asked.ts';
import type { PlanContext } from '../plan/context.ts';
import { findTakenMacs, needsTable } from '../plan/mac-holders.ts';
import { isPassive } from '../plan/plan.ts';
import { type Moment, settingFindings, settingRefusals } from '../plan/settings.ts';
import { type ActualnetError, errorLine } from '../report/error.ts';
import type { GuestContext } from './context.ts';

/** A line for each setting that the guest will start without. */
export function startFindings({ devices, config }: GuestContext, moment: Moment): string[] {
  if (isPassive(config)) return [];
  return settingFindings(devices, config, moment);
}

/** A line for each thing that the guest asks for in its metadata, and that does not count. */
export function requestFindings(guest: GuestContext): string[] {
  return isPassive(guest.config) ? [] : [...guest.refusedRequests, ...refusedRequests(guest.devices)];
}

/** What `start` refuses: the MACs have been looked at by `prepare`. */
export function startRefusals({ devices, config }: GuestContext): ActualnetError[] {
  if (isPassive(config)) return [];
  return settingRefusals(devices, config, 'starts');
}

/** What a running guest is without: its settings, and what is to be its MAC alone. */
export async function runningFindings(guest: GuestContext): Promise<string[]> {
  if (isPassive(guest.config)) return [];
  const context = await withTable(guest, guest.effects);
  return [
    ...settingFindings(context.devices, context.config, 'runs'),
    ...findTakenMacs(context).map(error => errorLine(error)),
  ];
}

/** Settings that some of the devices cannot have and must, and MACs that are somebody else's. */
export async function refusedSettings(guest: GuestContext): Promise<ActualnetError[]> {
  if (isPassive(guest.config)) return [];
  return refusedOf(guest, guest.effects);
}

export async function refusedOf(context: PlanContext, effects: Effects): Promise<ActualnetError[]> {
  const { devices, config } = context;
  return [...settingRefusals(devices, config, 'predicted'), ...findTakenMacs(await withTable(context, effects))];
}

/** The forwarding table costs a process, and is read only where something is going to be written into it. */
async function withTable(context: PlanContext, effects: Effects): Promise<PlanContext> {
  return needsTable(context) ? { ...context, host: await effects.view({ fdb: true }) } : context;
}
