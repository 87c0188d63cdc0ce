import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../libvirt/expectations.ts';
import { cardState, cards, makeVfs, makeWire, removeVfs, removeWire, vfAddress } from './cards.ts';
import { bareGuestXml, hostdevNetwork, onNetwork, smallOsGuestXml, vlanTag } from './documents.ts';
import { attach, define, detach, forgetAll, GuestConsole, installSmallOs, startNetwork } from './guests.ts';
import { hookLog, installHooks, removeHooks, restartDaemon } from './hooks.ts';
import { isFull, missingMachine, useMachine } from './use-machine.ts';

const [card, otherCard] = cards;
const addresses = { subnet: '192.168.50', peer: '192.168.50.254' };
const config = `hostdevs: { restore: true }
interfaces: [{ match: { network: pool }, trust: true, spoofchk: false }]
`;
const asked = /trust on spoofchk off .* driver vfio-pci/;

describe.skipIf(missingMachine || !isFull)(
  titled('a VF that comes and goes while its guest runs', missingMachine),
  () => {
    const machine = useMachine();

    beforeAll(async () => {
      await installHooks(machine, config);
      await installSmallOs(machine);
      await makeVfs(machine, card, 2);
      await machine.sh(`ip link set ${card} vf 0 vlan 99 qos 5`);
      await makeWire(machine, otherCard, { vlan: 42, address: addresses.peer });
      await startNetwork(machine, hostdevNetwork('pool', { pf: card }));
    });
    afterAll(async () => {
      await forgetAll(machine);
      await removeVfs(machine, card);
      await removeWire(machine, otherCard, 42);
      await removeHooks(machine);
    });

    const withVf = async () => (await cardState(machine)).filter(line => asked.test(line));

    test('is set as at a start, survives a restart of the daemon, and is as before when it is gone', async () => {
      const before = await cardState(machine);
      await define(machine, smallOsGuestXml({ name: 'small' }, addresses));
      await machine.sh('virsh start small');
      const console = new GuestConsole(machine, 'small');
      await console.next(/guest: ready/);
      const device = onNetwork('pool', '52:54:00:c0:00:02', vlanTag(42));
      for (let round = 0; round < 2; round++) {
        await attach(machine, 'small', device);
        await console.next(/guest: heard/);
        expect(await withVf()).toEqual([expect.stringContaining('vf 0 0000:01:10.0 mac 52:54:00:c0:00:02 vlan 42')]);
        await restartDaemon(machine);
        expect(await withVf()).toHaveLength(1);
        await detach(machine, 'small', device);
        await console.next(/guest: gone/);
        await expect.poll(() => cardState(machine), { timeout: 120_000, interval: 2000 }).toEqual(before);
      }
      await machine.sh('virsh destroy small');
      expect(await cardState(machine)).toEqual(before);
      expect(await hookLog(machine)).toEqual([]);
    });

    test('of a guest that never lets go of it stays set, until the guest ends', async () => {
      const before = await cardState(machine);
      await define(machine, bareGuestXml({ name: 'bare' }));
      await machine.sh('virsh start bare');
      const device = onNetwork('pool', '52:54:00:c0:00:03');
      await attach(machine, 'bare', device);
      expect(await withVf()).toHaveLength(1);
      await detach(machine, 'bare', device);
      expect(await withVf()).toHaveLength(1);
      await machine.sh('virsh destroy bare');
      await expect.poll(() => cardState(machine), { timeout: 120_000, interval: 2000 }).toEqual(before);
      expect(await vfAddress(machine, card, 0)).toBe('0000:01:10.0');
    });
  },
);
