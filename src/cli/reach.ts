import { guestContext, type Planning } from '../guest/context.ts';
import { actOnGuest } from '../guest/phases.ts';
import { readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { ActualnetError, printable } from '../report/error.ts';
import { defineCommand, domainFile } from './command.ts';
import type { CommandIo } from './io.ts';

export interface ReachOptions extends Planning {
  /** Whether the guest of that uuid came from elsewhere. */
  readonly isIncoming: (guest: Uuid) => boolean;
  readonly document: string;
  readonly to: 'reachable' | 'unreachable';
}

/** `actualnet reachable|unreachable DOMAIN.xml`: what a change of the run state asks for, by whoever knows of one. */
export async function reachCommand(
  { document, to, isIncoming, ...planning }: ReachOptions,
  io: CommandIo,
): Promise<void> {
  const domain = readDomain(io.readDocument(document));
  const incoming = domain.uuid !== undefined && isIncoming(domain.uuid);
  const problems = await actOnGuest(to, await guestContext(domain, planning, { incoming, paused: false }));
  for (const problem of problems) io.write(`${printable(problem)}\n`);
  if (problems.length > 0) throw new ActualnetError('ACTION_FAILED', `${domain.owner} could not be made fully ${to}`);
}

function reach(to: ReachOptions['to'], examples: readonly (readonly [string, string])[]) {
  return defineCommand({
    words: `${to} <domain>`,
    builder: y => y.positional('domain', domainFile),
    examples,
    documentation: 'docs/run-state.md',
    async run({ domain }, { io, planning }) {
      await reachCommand({ document: domain, to, ...(await planning()) }, io);
    },
  });
}

/** `actualnet reachable`. */
export const reachable = reach('reachable', [
  ['reachable live.xml', 'live.xml is what virsh dumpxml prints of the running guest'],
]);

/** `actualnet unreachable`. */
export const unreachable = reach('unreachable', [
  ['unreachable live.xml', 'takes its MACs out of the forwarding tables again'],
]);
