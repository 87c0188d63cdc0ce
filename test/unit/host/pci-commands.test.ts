import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runPciCommands } from '../../../src/host/kernel/pci-commands.ts';
import { hostPaths } from '../../../src/host/paths.ts';
import type { PciCommand } from '../../../src/kernel/kind.ts';
import { commandFor } from '../../../src/kernel/registry.ts';

const path0 = process.env.PATH;
let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'actualnet-numvfs-'));
});
afterEach(() => {
  process.env.PATH = path0;
  rmSync(root, { recursive: true });
});

/**
 * A card with `vfs` VFs. Its kernel is a `tee` that notes what is written to sriov_numvfs, makes and removes virtfn links, and
 * refuses what `refuses` (a shell condition on $n) is true of.
 */
function card(vfs: number, { total, refuses = 'false' }: { total?: number; refuses?: string } = {}) {
  const device = path.join(root, 'sys/class/net/ens1f0/device');
  mkdirSync(device, { recursive: true });
  for (let vf = 0; vf < vfs; vf++) writeFileSync(path.join(device, `virtfn${vf}`), '');
  if (total !== undefined) writeFileSync(path.join(device, 'sriov_totalvfs'), `${total}\n`);
  const bin = path.join(root, 'bin');
  mkdirSync(bin);
  writeFileSync(
    path.join(bin, 'tee'),
    `#!/bin/sh
n=$(cat)
echo "$n" >>${root}/writes
if ${refuses}; then echo "tee: $1: Numerical result out of range" >&2; exit 1; fi
rm -f ${device}/virtfn*
i=0; while [ $i -lt "$n" ]; do : >${device}/virtfn$i; i=$((i + 1)); done
`,
  );
  writeFileSync(path.join(bin, 'udevadm'), '#!/bin/sh\n');
  for (const tool of ['tee', 'udevadm']) chmodSync(path.join(bin, tool), 0o755);
  process.env.PATH = `${bin}:${path0}`;
}

function written(): string[] {
  try {
    return readFileSync(path.join(root, 'writes'), 'utf8').trim().split('\n');
  } catch {
    return [];
  }
}

describe('another number of VFs', () => {
  test.each<{
    name: string;
    before: number;
    wanted: number;
    facts?: Parameters<typeof card>[1];
    writes: string[];
    message?: string;
  }>([
    { name: 'from none', before: 0, wanted: 4, writes: ['4'] },
    { name: 'by way of none', before: 2, wanted: 4, facts: { total: 7 }, writes: ['0', '4'] },
    { name: 'to none', before: 2, wanted: 0, writes: ['0'] },
    {
      name: 'more than the card can have',
      before: 2,
      wanted: 8,
      facts: { total: 7 },
      writes: [],
      message: 'it can have no more than 7',
    },
    {
      name: 'refused: those that were there come back',
      before: 2,
      wanted: 5,
      facts: { refuses: '[ $n = 5 ]' },
      writes: ['0', '5', '2'],
      message: 'Numerical result out of range',
    },
    {
      name: 'refused, and the old number too',
      before: 2,
      wanted: 5,
      facts: { refuses: '[ $n != 0 ]' },
      writes: ['0', '5', '2'],
      message: 'Numerical result out of range, and those that were there are gone: Numerical result out of range',
    },
    {
      name: 'the removal refused',
      before: 2,
      wanted: 5,
      facts: { refuses: 'true' },
      writes: ['0'],
      message: 'Numerical result out of range',
    },
  ])('$name', async ({ before, wanted, facts, writes, message }) => {
    card(before, facts);
    const command = commandFor({ subject: { kind: 'vfs', dev: 'ens1f0' }, to: wanted }) as PciCommand;
    const failures = await runPciCommands(hostPaths(root), [command], { keepGoing: false });
    expect(failures).toEqual(message === undefined ? [] : [{ place: 0, message }]);
    expect(written()).toEqual(writes);
  });
});
