import type { Config } from '../config/config.ts';
import { readRequests } from '../config/requests.ts';
import { followsRunState, type GuestContext } from '../guest/guest.ts';
import { isPassive } from '../plan/plan.ts';
import { errorLine } from '../report/error.ts';
import type { HookContext } from './dispatch.ts';
import type { QemuOperation } from './phases.ts';

/**
 * From here on no hook tells when the CPUs start and stop: sees to it that somebody follows them, if it matters for the
 * guest. It is no reason to fail: the agent may come later.
 */
export async function leaveToAgent(
  operation: QemuOperation,
  guest: Pick<GuestContext, 'uuid' | 'domain' | 'view' | 'incoming' | 'paused'>,
  { config: readConfig, effects, ensureAgent, runState, log }: HookContext,
): Promise<void> {
  try {
    // Without libvirt's own word there is nothing to go by; at `start` it comes only later.
    if (operation !== 'start' && runState(guest.domain.name) === undefined) return;
    const config = await readConfig();
    if (isPassive(config)) return;
    const { requests } = readRequests(guest.domain, config.guests);
    if (mayOpen(config) || (await followsRunState({ ...guest, config, requests, effects }))) await ensureAgent();
  } catch (error) {
    log.warn(`${guest.domain.owner}, ${operation}: nobody could be told to follow its run state: ${errorLine(error)}`);
  }
}

/** No hook tells of a device that is attached later, and such a one may have to be opened. */
function mayOpen({ bridges, macvtap, interfaces }: Config): boolean {
  const keeps = Object.values(bridges).some(bridge => bridge.keepForwardingTable || bridge.pfForwardingTable);
  return keeps || macvtap.manage || interfaces.some(({ settings }) => settings.keepForwardingTable);
}
