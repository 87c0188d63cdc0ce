import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../libvirt/expectations.ts';
import { cardState, cards, makeVfs, removeVfs, vfAddress } from './cards.ts';
import {
  bareGuestXml,
  hostdev,
  hostdevInterface,
  hostdevNetwork,
  onNetwork,
  passthroughNetwork,
  vlanTag,
} from './documents.ts';
import { define, forgetAll, killQemu, startNetwork } from './guests.ts';
import { hookLog, installHooks, removeHooks, restartDaemon } from './hooks.ts';
import { inFull, missingMachine, useMachine } from './use-machine.ts';

const [card] = cards;
const config = `hostdevs: { restore: true, bind: true }
macvtap: { manage: true }
interfaces:
  - match: { pf: ${card} }
    trust: true
    spoofchk: false
    maxTxRate: 100
    vlanQos: 3
`;
const mac = (last: number) => `52:54:00:c0:00:0${last}`;

describe.skipIf(missingMachine)(titled('guests with VFs of every kind', missingMachine), () => {
  const machine = useMachine();
  const endings = {
    destroyed: () => machine.sh('virsh destroy g'),
    crashed: () => killQemu(machine, 'g'),
    'destroyed after the daemon was restarted': async () => {
      await restartDaemon(machine);
      await machine.sh('virsh destroy g');
    },
  };
  let devices: Readonly<Record<string, string>>;

  beforeAll(async () => {
    await installHooks(machine, config);
    await makeVfs(machine, card, 7);
    // As somebody left them: none of this is libvirt's to know.
    await machine.sh(`
      set -e
      ip link set ${card} vf 0 mac 52:54:00:de:ad:01 vlan 99 qos 5
      ip link set ${card} vf 1 vlan 98 qos 4 spoofchk off
      ip link set ${card} vf 2 trust on max_tx_rate 50
      ip link set ${card} vf 4 vlan 97 qos 3`);
    const [pool, explicit, plain, unmanaged] = await Promise.all([0, 1, 2, 3].map(vf => vfAddress(machine, card, vf)));
    await startNetwork(machine, hostdevNetwork('pool', { addresses: [pool!] }));
    await startNetwork(machine, passthroughNetwork('passing', { devs: [`${card}v4`] }));
    devices = {
      'a pool': onNetwork('pool', mac(1), vlanTag(42)),
      'an interface': hostdevInterface(explicit!, mac(2)),
      'a plain host device': hostdev(plain!),
      'an unmanaged host device': hostdev(unmanaged!, { managed: false }),
      'a passed-through macvtap': onNetwork('passing', mac(5)),
    };
  });
  afterEach(async () => {
    await machine.run('virsh destroy g; virsh undefine g');
    await machine.sh('rm -f /var/log/actualnet.log');
  });
  afterAll(async () => {
    await forgetAll(machine);
    await removeVfs(machine, card);
    await removeHooks(machine);
  });

  test.each(inFull(Object.keys(endings) as (keyof typeof endings)[], 1))('all at once, %s', async ending => {
    const before = await cardState(machine);
    await define(machine, bareGuestXml({ name: 'g', devices: Object.values(devices) }));
    await machine.sh('virsh start g');
    const running = await cardState(machine);
    const asked = 'trust on spoofchk off link auto max 100 min 0';
    expect(running.filter(line => line.includes(asked))).toEqual([
      expect.stringContaining(`vf 0 0000:01:10.0 mac ${mac(1)} vlan 42 qos 3 proto 802.1Q ${asked} driver vfio-pci`),
      expect.stringContaining(`mac ${mac(2)} vlan 0 ${asked} driver vfio-pci`),
      expect.stringContaining(`${asked} driver vfio-pci`),
      expect.stringContaining(`${asked} driver vfio-pci override vfio-pci netdev -`),
      expect.stringContaining(`mac ${mac(5)} vlan 0 ${asked} driver igbvf`),
    ]);
    await endings[ending]();
    await expect.poll(() => cardState(machine), { timeout: 120_000, interval: 2000 }).toEqual(before);
    expect(await hookLog(machine)).toEqual([]);
  });
});
