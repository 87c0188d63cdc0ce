import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { settles, titled } from '../libvirt/expectations.ts';
import { cardState, cards, makeVfs, makeWire, removeVfs, removeWire, vfAddress } from './cards.ts';
import {
  bareGuestXml,
  hostdev,
  hostdevInterface,
  hostdevNetwork,
  onNetwork,
  smallOsGuestXml,
  vlanTag,
} from './documents.ts';
import { define, forgetAll, GuestConsole, installSmallOs, startNetwork } from './guests.ts';
import { hookLog, installHooks, removeHooks } from './hooks.ts';
import type { Machine } from './machine.ts';
import { isFull, missingMachine, useMachine } from './use-machine.ts';

const [card, otherCard] = cards;
const addresses = { subnet: '192.168.50', peer: '192.168.50.254' };
const cycles = isFull ? 50 : 4;
const mac = '52:54:00:c0:00:02';

/** Runs the command line inside; resolves to what it prints. */
const actualnet = (machine: Machine, words: string, input?: string) =>
  machine.sh(`actualnet ${words}`, input === undefined ? {} : { input });

describe.skipIf(missingMachine)(titled('a VF that our commands plug and unplug', missingMachine), () => {
  const machine = useMachine();
  let explicit = '';
  let before: string[];

  beforeAll(async () => {
    await installHooks(machine);
    await installSmallOs(machine);
    await makeVfs(machine, card, 2);
    explicit = await vfAddress(machine, card, 1);
    const rules = `
  - { match: { address: '${explicit}' }, trust: true, spoofchk: false, vlan: 42, vlanQos: 3 }
  - { match: { network: pool }, trust: true, spoofchk: false, vlanQos: 3 }`;
    await machine.putFile('/etc/actualnet/config.yaml', `hostdevs: { restore: true }\ninterfaces:${rules}\n`);
    await machine.sh(`ip link set ${card} vf 0 vlan 99 qos 5`);
    await makeWire(machine, otherCard, { vlan: 42, address: addresses.peer });
    await startNetwork(machine, hostdevNetwork('pool', { pf: card }));
    before = await cardState(machine);
  });
  afterAll(async () => {
    await forgetAll(machine);
    await removeVfs(machine, card);
    await removeWire(machine, otherCard, 42);
    await removeHooks(machine);
  });

  test(`traffic flows while it is there, and the cards are as before when it is gone, ${cycles} times`, {
    timeout: 2 * 3_600_000,
  }, async () => {
    const kinds = [
      { name: 'from a pool', device: onNetwork('pool', mac, vlanTag(42)), selector: mac },
      {
        name: 'named by the guest',
        device: hostdevInterface(explicit, mac, { inside: vlanTag(42) }),
        selector: 'hostdev0',
      },
      { name: 'as a host device', device: hostdev(explicit), selector: explicit },
      { name: 'from a pool, as a host device', device: onNetwork('pool', mac, vlanTag(42)), selector: 'hostdev0' },
    ];
    await define(machine, smallOsGuestXml({ name: 'small' }, addresses));
    await machine.sh('virsh start small');
    const console_ = new GuestConsole(machine, 'small');
    await console_.next(/guest: ready/);
    for (let cycle = 0; cycle < cycles; cycle++) {
      const { name, device, selector } = kinds[cycle % kinds.length]!;
      const said = await actualnet(machine, 'attach small - --live', device);
      expect(said, name).toMatch(/is attached as 'hostdev0'/);
      // Each kind's traffic is looked at once; afterwards it is enough that the guest has found its card.
      const isFirst = cycle < kinds.length;
      await console_.next(isFirst ? /guest: heard/ : /guest: card/);
      const [set] = (await cardState(machine)).filter(line => /trust on spoofchk off .* driver vfio-pci/.test(line));
      expect(set, name).toMatch(/vlan 42 qos 3/);
      if (isFirst) expect(await actualnet(machine, 'status --check small'), name).toBe('everything agrees');
      await actualnet(machine, `detach small ${selector} --timeout 120`);
      await console_.next(/guest: gone/);
      if (isFirst) expect(await actualnet(machine, 'status --check small'), name).toBe('everything agrees');
      expect(await cardState(machine), name).toEqual(before);
      if (cycle % 10 === 9) console.log(`${cycle + 1} cycles`);
    }
    await machine.sh('virsh destroy small');
    expect(await hookLog(machine)).toEqual([]);
    const files = await machine.sh('cd /run/actualnet && find guests ledgers shared hotplug -type f 2>/dev/null || :');
    expect(files).toBe('');
  });

  test('a guest that lets go late: told so, kept until then, and completed by the agent', async () => {
    await define(machine, bareGuestXml({ name: 'bare' }));
    await machine.sh('virsh start bare; systemctl start actualnet-agent');
    await actualnet(machine, 'attach bare - --live', hostdevInterface(explicit, mac));
    const refused = await machine.run('actualnet detach bare hostdev0 --timeout 2');
    expect(refused.stderr).toMatch(
      /has not let go of interface 52:54:00:c0:00:02 \('hostdev0'\) within 2 s.*STILL_ATTACHED/,
    );
    expect(await cardState(machine)).not.toEqual(before);
    expect(await actualnet(machine, 'status --check bare')).toBe('everything agrees');
    await machine.sh('virsh reset bare');
    await expect.poll(() => cardState(machine), { ...settles, timeout: 120_000 }).toEqual(before);
    expect(await actualnet(machine, 'status --check bare')).toBe('everything agrees');
    await machine.sh('systemctl stop actualnet-agent; virsh destroy bare');
  });

  test('one that cannot be had is refused with the reason, and nothing is changed', async () => {
    await define(machine, bareGuestXml({ name: 'bare' }));
    await machine.sh('virsh start bare');
    const refusal = async (device: string) => {
      const input = device.replaceAll("'", '"');
      return (await machine.run(`printf '%s' '${input}' | actualnet attach bare - --live`)).stderr;
    };
    expect(await refusal(hostdevInterface('0000:77:00.0', mac))).toMatch(
      /there is no PCI device 0000:77:00.0.*DEVICE_MISSING/,
    );
    await machine.sh(`ip link set ${card} down`);
    expect(await refusal(hostdevInterface(explicit, mac))).toMatch(/PF_DOWN/);
    await machine.sh(`ip link set ${card} up`);
    await actualnet(machine, 'attach bare - --live', onNetwork('pool', mac));
    await actualnet(machine, 'attach bare - --live', onNetwork('pool', '52:54:00:c0:00:03'));
    expect(await refusal(onNetwork('pool', '52:54:00:c0:00:04'))).toMatch(/all 2 devices are in use.*POOL_EXHAUSTED/);
    await machine.sh('virsh destroy bare');
    await expect.poll(() => cardState(machine), { ...settles, timeout: 120_000 }).toEqual(before);
  });
});
