import type { Config } from '../config/types.ts';
import { carryOut } from '../journal/apply.ts';
import type { Effects } from '../journal/effects.ts';
import { sharedNameOf } from '../kernel/registry.ts';

import { provisionLinks } from '../plan/provisioned-links.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import { defineCommand } from './command.ts';
import type { CommandIo } from './io.ts';

/**
 * `actualnet vfs [PF]`: makes the VFs that the configuration provides. An administrator did it, so nothing is noted, and
 * nobody takes them away again.
 */
export async function vfsCommand(
  { pf, config, effects }: { readonly pf: string | undefined; readonly config: Config; readonly effects: Effects },
  io: CommandIo,
): Promise<void> {
  const provided = Object.keys(config.provide.vfs);
  if (pf !== undefined && !provided.includes(pf)) {
    throw new ActualnetError('CONFIG', `the configuration provides no VFs on '${pf}'`, {
      hint: provided.length === 0 ? 'add it to provide.vfs' : `it does on ${provided.join(', ')}`,
    });
  }
  const ledger = { read: () => [], append: () => {}, replace: () => {} };
  const make = async (name: string) => {
    const changes = provisionLinks([name], config).map(({ shared: _, ...change }) => change);
    const owner = `PF '${name}'`;
    // Nothing is shared here, so nobody else takes it: a network that starts meanwhile looks at the same VFs.
    const unlock = await effects.lock([...new Set(changes.map(({ subject }) => sharedNameOf(subject)))]);
    const carrying = carryOut(changes, { owner, user: `vfs:${name}`, ledger, effects, keepGoing: false });
    const [problem] = await carrying.finally(unlock);
    if (problem !== undefined) throw new ActualnetError('DEVICE_IN_USE', `${problem}`, { owner });
    io.write(`${name}: ${(await effects.view({})).link(name)?.vfs ?? 0} VFs\n`);
  };
  const errors: ActualnetError[] = [];
  // One PF that cannot have its VFs keeps no other from them.
  for (const name of pf === undefined ? provided : [pf])
    await make(name).catch(error => errors.push(asActualnetError(error)));
  const [first] = errors;
  if (first === undefined) return;
  const message = errors.map(error => error.message).join('; ');
  throw new ActualnetError(first.code, message, { hint: first.hint, cause: first });
}

/** `actualnet vfs`. */
export const command = defineCommand({
  words: 'vfs [pf]',
  builder: y => y.positional('pf', { type: 'string', describe: 'only those of this PF' }),
  examples: [['vfs enp94s0f0', 'makes the VFs that provide.vfs names for that PF']],
  documentation: 'docs/sriov.md',
  async run({ pf }, { io, planning }) {
    const { config, effects } = await planning();
    await vfsCommand({ pf, config, effects }, io);
    return 0;
  },
});
