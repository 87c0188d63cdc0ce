import { readRequests } from '../config/requests.ts';
import type { Effects } from '../journal/effects.ts';
import { refusedRequests } from '../plan/asked.ts';
import { findTakenMacs, needsTable } from '../plan/mac-holders.ts';
import { isPassive, type PlanContext } from '../plan/plan.ts';
import { type Moment, settingFindings, settingRefusals } from '../plan/settings.ts';
import { type ActualnetError, errorLine } from '../report/error.ts';
import { contextOf, type GuestContext } from './guest.ts';

/** A line for each setting that the guest will start without. */
export async function startFindings(guest: GuestContext, moment: Moment): Promise<string[]> {
  if (isPassive(guest.config)) return [];
  const { devices, config } = contextOf(guest, await guest.effects.view({}));
  return settingFindings(devices, config, moment);
}

/** A line for each thing that the guest asks for in its metadata, and that does not count. */
export async function requestFindings(guest: GuestContext): Promise<string[]> {
  if (isPassive(guest.config)) return [];
  const { refusals } = readRequests(guest.domain, guest.config.guests);
  return [...refusals, ...refusedRequests(contextOf(guest, await guest.effects.view({})).devices)];
}

/** What `start` refuses: the MACs have been looked at by `prepare`. */
export async function startRefusals(guest: GuestContext): Promise<ActualnetError[]> {
  if (isPassive(guest.config)) return [];
  const { devices, config } = contextOf(guest, await guest.effects.view({}));
  return settingRefusals(devices, config, 'starts');
}

/** What a running guest is without: its settings, and what is to be its MAC alone. */
export async function runningFindings(guest: GuestContext): Promise<string[]> {
  if (isPassive(guest.config)) return [];
  const context = await withTable(contextOf(guest, await guest.effects.view({})), guest.effects);
  return [
    ...settingFindings(context.devices, context.config, 'runs'),
    ...findTakenMacs(context).map(error => errorLine(error)),
  ];
}

/** Settings that some of the devices cannot have and must, and MACs that are somebody else's. */
export async function refusedSettings(guest: GuestContext): Promise<ActualnetError[]> {
  if (isPassive(guest.config)) return [];
  return refusedOf(contextOf(guest, await guest.effects.view({})), guest.effects);
}

export async function refusedOf(context: PlanContext, effects: Effects): Promise<ActualnetError[]> {
  const { devices, config } = context;
  return [...settingRefusals(devices, config, 'predicted'), ...findTakenMacs(await withTable(context, effects))];
}

/** The forwarding table costs a process, and is read only where something is going to be written into it. */
async function withTable(context: PlanContext, effects: Effects): Promise<PlanContext> {
  return needsTable(context) ? { ...context, host: await effects.view({ fdb: true }) } : context;
}
