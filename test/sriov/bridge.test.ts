import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../libvirt/expectations.ts';
import { cards, makeVfs, removeVfs, vfAddress } from './cards.ts';
import { hostdevInterface, smallOsGuestXml } from './documents.ts';
import { define, forgetAll, GuestConsole, installSmallOs } from './guests.ts';
import { configure, installHooks, removeHooks } from './hooks.ts';
import { isFull, missingMachine, useMachine } from './use-machine.ts';

const [card] = cards;
const onBridge = '52:54:00:c0:00:11';
const onVf = '52:54:00:c0:00:12';
/** A guest's address ends with the last byte of its MAC. */
const addressOf = (mac: string) => `192.168.60.${Number.parseInt(mac.slice(-2), 16)}`;

describe.skipIf(missingMachine || !isFull)(titled('a bridge guest and a VF guest of one card', missingMachine), () => {
  const machine = useMachine();

  beforeAll(async () => {
    await installHooks(machine);
    await configure(machine, 'bridges: { br9: { pfForwardingTable: true, keepForwardingTable: true } }\n');
    await installSmallOs(machine);
    await makeVfs(machine, card, 1);
    await machine.sh(`ip link add br9 type bridge && ip link set ${card} master br9 && ip link set br9 up`);
    // The emulated card hands the PF its own broadcasts back: the bridge would learn its guests behind the uplink.
    await machine.sh(`bridge link set dev ${card} learning off`);
  });
  afterAll(async () => {
    await forgetAll(machine);
    await machine.sh('ip link delete br9');
    await removeVfs(machine, card);
    await removeHooks(machine);
  });

  test('reach each other, and stop to be known when they end', async () => {
    const tap = `<interface type='bridge'><mac address='${onBridge}'/><source bridge='br9'/><model type='virtio'/></interface>`;
    const vf = hostdevInterface(await vfAddress(machine, card, 0), onVf);
    const network = (peer: string) => ({ subnet: '192.168.60', peer });
    await define(machine, smallOsGuestXml({ name: 'bridged', devices: [tap] }, network(addressOf(onVf))));
    await define(machine, smallOsGuestXml({ name: 'direct', devices: [vf] }, network(addressOf(onBridge))));
    await machine.sh('virsh start bridged && virsh start direct');
    await new GuestConsole(machine, 'direct').next(/guest: heard 192\.168\.60\.17/);
    await new GuestConsole(machine, 'bridged').next(/guest: heard 192\.168\.60\.18/);
    const fixed = async () =>
      (await machine.sh('bridge fdb show'))
        .split('\n')
        .filter(line => line.includes('52:54:00:c0') && /permanent|static/.test(line) && !line.includes(' vlan '))
        .sort();
    const known = [
      expect.stringContaining(`${onBridge} dev ${card} self permanent`),
      expect.stringContaining(`${onBridge} dev vnet0 master br9 static`),
      expect.stringContaining(`${onVf} dev ${card} master br9 static`),
    ];
    expect(await fixed()).toEqual(known);
    // Without its entry in the PF's table the card sends the frames of the VF to the wire.
    const direct = new GuestConsole(machine, 'direct');
    await machine.sh(`bridge fdb delete ${onBridge} dev ${card} self`);
    await direct.passAll();
    await direct.next(/guest: silence/);
    await machine.sh('virsh dumpxml bridged | node /opt/actualnet/dist/actualnet.mjs reachable -');
    expect(await fixed()).toEqual(known);
    await direct.passAll();
    await direct.next(/guest: heard/);
    await machine.sh('virsh destroy direct && virsh destroy bridged');
    expect(await fixed()).toEqual([]);
  });
});
