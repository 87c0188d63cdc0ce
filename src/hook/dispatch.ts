import { errorLine, printable } from '../report/error.ts';
import type { HookContext, Invocation, Outcome } from './context.ts';
import { forgivingMemory } from './forgiving-memory.ts';
import { handleNetwork } from './network.ts';
import { findPhase, mayRefuse, type NetworkOperation, type QemuOperation } from './phases.ts';
import { handleQemu } from './qemu.ts';

const nothing: Outcome = { status: 0, stdout: '', stderr: '' };

/** Answers one hook call; never throws. Whether an error refuses the operation is decided by the phase table alone. */
export async function runHook(invocation: Invocation, host: HookContext): Promise<Outcome> {
  const context: HookContext = { ...host, memory: forgivingMemory(host.memory, host.log) };
  const { driver, object, operation } = invocation;
  const rule = findPhase(driver, operation);
  try {
    if (rule === undefined) {
      if (context.memory.isFirst(`${driver}-${operation}`)) {
        context.log.info(`${driver} hook: operation '${operation}' (of '${object}') is not known and is left alone`);
      }
      return nothing;
    }
    const stdout =
      driver === 'qemu'
        ? await handleQemu(operation as QemuOperation, invocation, context)
        : await handleNetwork(operation as NetworkOperation, invocation, context);
    return rule.stdout === 'ignored' ? nothing : { ...nothing, stdout };
  } catch (error) {
    const owner = `${driver === 'qemu' ? 'guest' : 'network'} '${printable(object)}'`;
    const line = `${owner}, ${operation}: ${errorLine(error, owner)}`;
    context.log.warn(line);
    return rule !== undefined && mayRefuse(rule) ? { status: 1, stdout: '', stderr: `${line}\n` } : nothing;
  }
}
