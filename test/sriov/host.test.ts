import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../libvirt/expectations.ts';
import { cardState, cards, makeVfs, removeVfs, vfAddress } from './cards.ts';
import { bareGuestXml, hostdevInterface, hostdevNetwork, onNetwork } from './documents.ts';
import { define, forgetAll, startNetwork } from './guests.ts';
import { configure, hookLog, installHooks, removeHooks, restartDaemon } from './hooks.ts';
import { missingMachine, useMachine } from './use-machine.ts';

const [card, otherCard] = cards;
const cli = '/opt/actualnet/dist/actualnet.cjs';
const mac = (last: number) => `52:54:00:c0:00:0${last}`;

describe.skipIf(missingMachine)(titled('what the host has for VFs', missingMachine), () => {
  const machine = useMachine();

  beforeAll(() => installHooks(machine));
  afterEach(async () => {
    await forgetAll(machine);
    await configure(machine, undefined);
    await machine.sh('rm -f /var/log/actualnet.log');
  });
  afterAll(() => removeHooks(machine));

  test('a network has its VFs made, and takes them along when no guest has one', async () => {
    await configure(machine, `provide: { vfs: { ${otherCard}: { count: 3, unmanaged: true } } }\n`);
    const before = await cardState(machine);
    await startNetwork(machine, hostdevNetwork('made', { pf: otherCard }));
    const made = await cardState(machine);
    expect(made.filter(line => line.startsWith(`${otherCard} vf`))).toHaveLength(3);
    expect(made).toContainEqual(expect.stringMatching(new RegExp(`^${otherCard} .* up vfs 3$`)));
    expect(await machine.sh(`udevadm info -q property /sys/class/net/${otherCard}v0`)).toContain('NM_UNMANAGED=1');
    await define(machine, bareGuestXml({ name: 'g', devices: [onNetwork('made', mac(1))] }));
    await machine.sh('virsh start g && virsh net-destroy made');
    expect((await cardState(machine)).filter(line => line.startsWith(`${otherCard} vf`))).toHaveLength(3);
    expect((await hookLog(machine)).join('\n')).toContain("VF 0000:02:10.0: it is used by guest 'g'");
    await machine.sh('virsh destroy g');
    await machine.sh(`node ${cli} recover --grace 0`);
    expect(await cardState(machine)).toEqual(before);
  });

  test('VFs in use are never taken away to make more', async () => {
    await makeVfs(machine, otherCard, 2);
    await machine.sh(`ip link set ${otherCard}v1 up`);
    await configure(machine, `provide: { vfs: { ${otherCard}: { count: 4 } } }\n`);
    await startNetwork(machine, hostdevNetwork('more', { pf: otherCard }));
    expect((await hookLog(machine)).join('\n')).toContain(
      `there are only 2 VFs on '${otherCard}' instead of 4, and more cannot be made now: VF 0000:02:10.2: its link '${otherCard}v1' is up`,
    );
    await forgetAll(machine);
    await expect(machine.sh(`node ${cli} vfs`)).rejects.toThrow(`there are only 2 VFs on '${otherCard}' instead of 4`);
    await machine.sh(`ip link set ${otherCard}v1 down`);
    expect(await machine.sh(`node ${cli} vfs`)).toBe(`${otherCard}: 4 VFs`);
    await removeVfs(machine, otherCard);
    await machine.sh(`ip link set ${otherCard} down`);
  });

  test('a device of the command line: which line libvirt lacks, then bound, held and given back', async () => {
    await makeVfs(machine, card, 1);
    const before = await cardState(machine);
    const address = await vfAddress(machine, card, 0);
    const words = ['-device', `vfio-pci,host=${address},bus=pcie.0,addr=0x10`].map(
      word => `<qemu:arg value='${word}'/>`,
    );
    const xml = bareGuestXml({ name: 'g' })
      .replace("<domain type='kvm'>", "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>")
      // Memory is locked for VFIO, which libvirt does on its own only for devices that it knows.
      .replace(
        '<vcpu>',
        "<memtune><hard_limit unit='MiB'>512</hard_limit></memtune><memoryBacking><locked/></memoryBacking><vcpu>",
      )
      .replace('</domain>', `<qemu:commandline>${words.join('')}</qemu:commandline></domain>`);
    await define(machine, xml);
    await configure(machine, 'hostdevs: { bind: true, restore: true }\n');
    const refusal = (await machine.run('virsh start g')).stderr;
    expect(refusal).toMatch(/libvirt does not let QEMU open \/dev\/vfio\/vfio .*\[ACCESS_MISSING\]/);
    const line = /in qemu\.conf: (cgroup_device_acl = \[.*?\])/.exec(refusal)![1];
    // Nor does it give such a node to QEMU's user.
    const settings = `user = "root"\ngroup = "root"\n${line}\n`;
    await machine.sh('cp /etc/libvirt/qemu.conf /run/qemu.conf.before; cat >>/etc/libvirt/qemu.conf', {
      input: settings,
    });
    await machine.sh('rm /var/log/actualnet.log');
    await restartDaemon(machine);
    await machine.sh('virsh start g');
    expect(await cardState(machine)).toContainEqual(
      expect.stringContaining('driver vfio-pci override vfio-pci netdev -'),
    );
    // All that QEMU needs it has, and the cgroup's program says the same.
    expect(await hookLog(machine)).toEqual([]);
    await machine.sh('virsh destroy g');
    await machine.sh('cp /run/qemu.conf.before /etc/libvirt/qemu.conf');
    await restartDaemon(machine);
    await expect.poll(() => cardState(machine), { timeout: 60_000 }).toEqual(before);
    await removeVfs(machine, card);
  });

  test('a bridge above the card and a VF know of each other while their guests run', async () => {
    await makeVfs(machine, card, 1);
    await machine.sh(`
      set -e
      ip link add br9 type bridge vlan_filtering 1
      ip link set ${card} master br9
      ip link set br9 up`);
    await configure(
      machine,
      `bridges: { br9: { pfForwardingTable: true, uplinkVlans: true } }\ninterfaces: [{ match: { bridge: br9 }, vlan: 52 }]\n`,
    );
    const devices = [
      `<interface type='bridge'><mac address='${mac(1)}'/><source bridge='br9'/></interface>`,
      hostdevInterface(await vfAddress(machine, card, 0), mac(2)),
    ];
    const fdb = async () =>
      (await machine.sh('bridge fdb show'))
        .split('\n')
        .filter(line => line.includes('52:54:00:c0'))
        .sort();
    await define(machine, bareGuestXml({ name: 'g', devices }));
    await machine.sh('virsh start g');
    expect(await fdb()).toEqual([
      expect.stringContaining(`${mac(1)} dev ${card} self permanent`),
      expect.stringContaining(`${mac(2)} dev ${card} master br9 static`),
      // A bridge that is VLAN-aware has it in each of the port's.
      expect.stringContaining(`${mac(2)} dev ${card} vlan 1 master br9 static`),
      expect.stringContaining(`${mac(2)} dev ${card} vlan 52 master br9 static`),
    ]);
    const vlans = await machine.sh(`bridge vlan show dev ${card}; bridge vlan show dev vnet0`);
    expect(vlans.replace(/ +/g, ' ').match(/\b52\b.*$/gm)).toEqual(['52', '52 PVID Egress Untagged']);
    await machine.sh('virsh destroy g');
    expect(await fdb()).toEqual([]);
    expect(await machine.sh(`bridge vlan show dev ${card}`)).not.toMatch(/\b52\b/);
    await machine.sh('ip link delete br9');
    await removeVfs(machine, card);
  });

  test('status --pool shows who has what', async () => {
    await makeVfs(machine, card, 2);
    await startNetwork(machine, hostdevNetwork('pool', { pf: card }));
    await define(machine, bareGuestXml({ name: 'g', devices: [onNetwork('pool', mac(1))] }));
    await machine.sh('virsh start g');
    const { pfs } = JSON.parse(await machine.sh(`node ${cli} status --pool --format json`));
    const [first, second] = pfs.find((pf: { dev: string }) => pf.dev === card).vfs;
    expect(first).toMatchObject({ driver: 'vfio-pci', netdev: null, settings: { mac: mac(1), vlan: 'none' } });
    expect(first.usedBy.map(({ by }: { by: string }) => by)).toEqual([
      'VFIO',
      'our record (started)',
      "libvirt's status",
      "a port of network 'pool'",
      'the state it has put aside',
    ]);
    expect(second).toMatchObject({ driver: 'igbvf', netdev: `${card}v1`, usedBy: [], kept: {} });
    expect(await hookLog(machine)).toEqual([]);
    await machine.sh('virsh destroy g');
    await forgetAll(machine);
    await removeVfs(machine, card);
  });
});
