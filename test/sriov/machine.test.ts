import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../libvirt/expectations.ts';
import { cardState, cards, makeVfs, makeWire, removeVfs, removeWire } from './cards.ts';
import { bareGuestXml, hostdevNetwork, onNetwork, smallOsGuestXml, vlanTag } from './documents.ts';
import { attach, define, detach, forgetAll, GuestConsole, installSmallOs, startNetwork } from './guests.ts';
import { hookLog, installHooks, removeHooks } from './hooks.ts';
import { missingMachine, useMachine } from './use-machine.ts';

const [card, otherCard] = cards;
const addresses = { subnet: '192.168.50', peer: '192.168.50.254' };

describe.skipIf(missingMachine)(titled('the machine with SR-IOV cards', missingMachine), () => {
  const machine = useMachine();

  beforeAll(async () => {
    await installHooks(machine);
    await makeVfs(machine, card, 4);
    await startNetwork(machine, hostdevNetwork('pool', { pf: card }));
  });
  afterAll(async () => {
    await forgetAll(machine);
    await removeVfs(machine, card);
    await removeWire(machine, otherCard, 42);
    await removeHooks(machine);
  });

  test('a guest has a VF of the pool while it runs, and nothing is left when it is gone', async () => {
    const before = await cardState(machine);
    const device = onNetwork('pool', '52:54:00:c0:00:01', vlanTag(42));
    await define(machine, bareGuestXml({ name: 'bare', devices: [device] }));
    await machine.sh('virsh start bare');
    expect(await machine.sh('virsh domstate bare')).toContain('running');
    const running = await cardState(machine);
    expect(running.filter(line => line.includes('driver vfio-pci'))).toEqual([
      expect.stringMatching(/vf \d .* mac 52:54:00:c0:00:01 vlan 42 .* netdev -$/),
    ]);
    await machine.sh('virsh destroy bare');
    expect(await cardState(machine)).toEqual(before);
    expect(await hookLog(machine)).toEqual([]);
  });

  test('traffic goes through a VF in its VLAN, until it is unplugged and again after that', async () => {
    await installSmallOs(machine);
    await makeWire(machine, otherCard, { vlan: 42, address: addresses.peer });
    const before = await cardState(machine);
    const device = onNetwork('pool', '52:54:00:c0:00:02', vlanTag(42));
    await define(machine, smallOsGuestXml({ name: 'small', devices: [device] }, addresses));
    await machine.sh('virsh start small');
    const console = new GuestConsole(machine, 'small');
    expect(await console.next(/guest: card/)).toContain('52:54:00:c0:00:02 igbvf');
    await console.next(/guest: heard/);
    await detach(machine, 'small', device);
    await console.next(/guest: gone/);
    await expect.poll(() => cardState(machine), { timeout: 60_000 }).toEqual(before);
    await attach(machine, 'small', device);
    await console.next(/guest: heard/);
    await machine.sh('virsh destroy small');
    expect(await cardState(machine)).toEqual(before);
  });
});
