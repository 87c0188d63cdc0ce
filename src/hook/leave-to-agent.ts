import type { Config } from '../config/types.ts';
import { followsRunState } from '../guest/phases.ts';
import { isPassive } from '../plan/plan.ts';
import { errorLine } from '../report/error.ts';
import type { HookContext } from './context.ts';
import type { CallContext } from './guest.ts';
import type { QemuOperation } from './phases.ts';

/**
 * From here on no hook tells when the CPUs start and stop: sees to it that somebody follows them, if it matters for the
 * guest. It is no reason to fail: the agent may come later.
 */
export async function leaveToAgent(
  operation: QemuOperation,
  guest: CallContext,
  { ensureAgent, runState, log }: HookContext,
): Promise<void> {
  const { config, configProblem, domain } = guest;
  try {
    // Without libvirt's own word there is nothing to go by; at `start` it comes only later.
    if (operation !== 'start' && runState(domain.name) === undefined) return;
    if (configProblem !== undefined) throw configProblem;
    if (isPassive(config)) return;
    if (mayOpen(config) || followsRunState(guest)) await ensureAgent();
  } catch (error) {
    log.warn(`${domain.owner}, ${operation}: nobody could be told to follow its run state: ${errorLine(error)}`);
  }
}

/** No hook tells of a device that is attached later, and such a one may have to be opened. */
function mayOpen({ bridges, macvtap, interfaces }: Config): boolean {
  const keeps = Object.values(bridges).some(bridge => bridge.keepForwardingTable || bridge.pfForwardingTable);
  return keeps || macvtap.manage || interfaces.some(({ settings }) => settings.keepForwardingTable);
}
