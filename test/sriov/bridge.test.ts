import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../libvirt/expectations.ts';
import { cards, makeVfs, removeVfs, vfMac } from './cards.ts';
import { bareGuestXml } from './documents.ts';
import { define, forgetAll } from './guests.ts';
import { configure, installHooks, removeHooks } from './hooks.ts';
import { missingMachine, useMachine } from './use-machine.ts';

const [card] = cards;
const mac = '52:54:00:c0:00:11';

describe.skipIf(missingMachine)(titled('frames from a VF to a bridge guest of the same card', missingMachine), () => {
  const machine = useMachine();

  beforeAll(async () => {
    await installHooks(machine);
    await configure(machine, 'bridges: { br9: { pfForwardingTable: true } }\n');
    await makeVfs(machine, card, 1);
    // The VF is a neighbour that knows the guest's address already.
    await machine.sh(`
      set -e
      ip link add br9 type bridge
      ip link set ${card} master br9
      ip link set br9 up
      ip netns add neighbour
      ip link set ${card}v0 netns neighbour
      ip -n neighbour address add 192.168.60.2/24 dev ${card}v0
      ip -n neighbour link set ${card}v0 up
      ip -n neighbour neighbour add 192.168.60.17 lladdr ${mac} dev ${card}v0`);
    const tap = `<interface type='bridge'><mac address='${mac}'/><source bridge='br9'/></interface>`;
    await define(machine, bareGuestXml({ name: 'bridged', devices: [tap] }));
  });
  afterAll(async () => {
    await forgetAll(machine);
    await machine.sh('ip netns delete neighbour; ip link delete br9');
    await removeVfs(machine, card);
    await removeHooks(machine);
  });

  /** How many of a few frames the card hands to its PF. */
  const heard = async () => {
    const seen = await machine.sh(`
      timeout 12 tcpdump -nn -l -i ${card} ether src ${vfMac(card, 0)} and ether dst ${mac} >/run/seen 2>/dev/null &
      sleep 3
      ip netns exec neighbour ping -c 5 -i 0.5 -W 1 192.168.60.17 >/dev/null 2>&1
      wait
      grep -c ' > ' /run/seen || :`);
    return Number(seen);
  };

  test('reach the bridge while the guest runs, and not before or after', async () => {
    const before = await heard();
    await machine.sh('virsh start bridged');
    const running = await heard();
    await machine.sh('virsh destroy bridged');
    const after = await heard();
    expect({ before, running, after }).toEqual({ before: 0, running: 5, after: 0 });
  });
});
