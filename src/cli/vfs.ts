import { carryOut } from '../apply/apply.ts';
import type { Effects } from '../apply/effects.ts';
import type { Config } from '../config/config.ts';
import { provideParts } from '../plan/parts.ts';
import { ActualnetError } from '../report/error.ts';
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
  for (const name of pf === undefined ? provided : [pf]) {
    const changes = provideParts([name], config).map(({ shared: _, ...change }) => change);
    const owner = `PF '${name}'`;
    const [problem] = await carryOut(changes, { owner, user: `vfs:${name}`, ledger, effects, keepGoing: false });
    if (problem !== undefined) throw new ActualnetError('DEVICE_IN_USE', `${owner}: ${problem}`);
    io.write(`${name}: ${(await effects.view({})).link(name)?.vfs ?? 0} VFs\n`);
  }
}
