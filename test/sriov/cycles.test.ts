import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../libvirt/expectations.ts';
import { cardState, cards, makeVfs, removeVfs } from './cards.ts';
import { bareGuestXml, hostdevNetwork, onNetwork, vlanTag } from './documents.ts';
import { define, forgetAll, startNetwork } from './guests.ts';
import { hookLog, installHooks, removeHooks } from './hooks.ts';
import { isFull, missingMachine, useMachine } from './use-machine.ts';

const [card] = cards;
const config = `hostdevs: { restore: true }
interfaces: [{ match: { pf: ${card} }, trust: true, spoofchk: false, maxTxRate: 100, vlanQos: 3 }]
`;
const cycles = isFull ? 100 : 3;

describe.skipIf(missingMachine)(titled('a guest that starts and ends again and again', missingMachine), () => {
  const machine = useMachine();

  beforeAll(async () => {
    await installHooks(machine, config);
    await makeVfs(machine, card, 2);
    await machine.sh(`ip link set ${card} vf 0 mac 52:54:00:de:ad:01 vlan 99 qos 5`);
    await startNetwork(machine, hostdevNetwork('pool', { pf: card }));
    await define(machine, bareGuestXml({ name: 'g', devices: [onNetwork('pool', '52:54:00:c0:00:01', vlanTag(42))] }));
  });
  afterAll(async () => {
    await forgetAll(machine);
    await removeVfs(machine, card);
    await removeHooks(machine);
  });

  test(`leaves nothing and changes nothing, ${cycles} times`, { timeout: 2 * 3_600_000 }, async () => {
    const before = await cardState(machine);
    for (let cycle = 1; cycle <= cycles; cycle++) {
      await machine.sh('virsh start g && virsh destroy g');
      expect(await cardState(machine), `after cycle ${cycle}`).toEqual(before);
      if (cycle % 10 === 0) console.log(`${cycle} cycles`);
    }
    expect(await hookLog(machine)).toEqual([]);
    // Nothing of a guest stays behind in our own files either.
    const files = await machine.sh('cd /run/actualnet && find guests ledgers shared -type f 2>/dev/null || :');
    expect(files).toBe('');
  });

  test('also with VFs as the kernel makes them, with MACs by chance', async () => {
    const numvfs = `/sys/class/net/${card}/device/sriov_numvfs`;
    await machine.sh(`echo 0 >${numvfs} && echo 2 >${numvfs} && udevadm settle`);
    const before = await cardState(machine);
    expect(before.filter(line => / vf \d .* driver igbvf /.test(line))).toHaveLength(2);
    await machine.sh('virsh start g && virsh destroy g');
    expect(await cardState(machine)).toEqual(before);
    expect(await hookLog(machine)).toEqual([]);
  });
});
