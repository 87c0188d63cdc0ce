import { readDomain } from '../model/domain.ts';
import { planQemu } from '../plan/plan.ts';
import type { CommandIo } from './io.ts';

/** `actualnet plan qemu GUEST OP`: what a hook call would do, given its document on stdin. */
export function planCommand(
  options: {
    readonly document: string;
    readonly guest: string;
    readonly operation: string;
    readonly format: 'table' | 'json';
  },
  io: CommandIo,
): void {
  readDomain(io.readDocument(options.document));
  const plan = planQemu(options.guest, options.operation);
  io.write(options.format === 'json' ? `${JSON.stringify(plan, null, 2)}\n` : 'nothing to do\n');
}
