import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { titled } from '../libvirt/expectations.ts';
import { cardState, cards, makeVfs, removeVfs, vfAddress } from './cards.ts';
import { bareGuestXml, hostdev, hostdevInterface, hostdevNetwork, onNetwork, vlanTag } from './documents.ts';
import { define, forgetAll, startNetwork } from './guests.ts';
import { hookLog, installHooks, removeHooks, restartDaemon } from './hooks.ts';
import { inFull, isFull, missingMachine, useMachine } from './use-machine.ts';

const [card] = cards;
const config = `hostdevs: { restore: true }
interfaces: [{ match: { pf: ${card} }, trust: true, vlanQos: 2 }]
`;
const mac = (last: number) => `52:54:00:c0:00:0${last}`;
const failing = '/run/failing';
/** A hook of somebody else, called after ours: it fails at the operation that a file names. */
const otherHook = `#!/bin/sh
cat >/dev/null
if [ "$2" = "$(cat ${failing} 2>/dev/null)" ]; then echo 'told to fail' >&2; exit 1; fi
`;

describe.skipIf(missingMachine)(titled('guests that cannot be started', missingMachine), () => {
  const machine = useMachine();

  beforeAll(async () => {
    await installHooks(machine, config);
    await makeVfs(machine, card, 7);
    await machine.sh(`ip link set ${card} vf 0 mac 52:54:00:de:ad:01 vlan 99 qos 5`);
    await startNetwork(machine, hostdevNetwork('pool', { pf: card }));
    for (const driver of ['qemu', 'network']) {
      const file = `/etc/libvirt/hooks/${driver}.d/99-other`;
      await machine.putFile(file, otherHook);
      await machine.sh(`chmod 755 ${file}`);
    }
    await restartDaemon(machine);
  });
  afterEach(async () => {
    await machine.sh(`rm -f ${failing} /var/log/actualnet.log; ip link set ${card} up`);
    await machine.sh('for name in $(virsh list --name); do virsh destroy $name; done');
  });
  afterAll(async () => {
    await machine.sh('rm -f /etc/libvirt/hooks/*.d/99-other');
    await forgetAll(machine);
    await removeVfs(machine, card);
    await removeHooks(machine);
  });

  /** Starts a guest that must not start; resolves to what virsh says. */
  const refuse = async (devices: readonly string[], name = 'g'): Promise<string> => {
    await define(machine, bareGuestXml({ name, devices }));
    const { status, stderr } = await machine.run(`virsh start ${name}`);
    expect(status).toBe(1);
    return stderr;
  };

  test.each(inFull(['port-created', 'start', 'started', 'prepare'], 1))(
    'somebody else’s hook fails at %s',
    async phase => {
      const before = await cardState(machine);
      await machine.putFile(failing, phase);
      const devices = [
        onNetwork('pool', mac(1), vlanTag(42)),
        hostdevInterface(await vfAddress(machine, card, 5), mac(2)),
        hostdev(await vfAddress(machine, card, 6)),
      ];
      expect(await refuse(devices)).toContain('told to fail');
      expect(await cardState(machine)).toEqual(before);
      expect(await hookLog(machine)).toEqual([]);
    },
  );

  test('the PF is down', async () => {
    await machine.sh(`ip link set ${card} down`);
    const before = await cardState(machine);
    expect(await refuse([onNetwork('pool', mac(1))])).toContain(
      `'${card}', the PF of VF 0000:01:10.0, is down (hint: ip link set ${card} up) [PF_DOWN]`,
    );
    expect(await cardState(machine)).toEqual(before);
  });

  test('a device that nobody has bound', async () => {
    const address = await vfAddress(machine, card, 3);
    expect(await refuse([hostdev(address, { managed: false })])).toContain(
      `PCI device ${address} is not managed by libvirt and still bound to 'igbvf'`,
    );
  });

  test('a device that another guest has, and the pool does not know', async () => {
    const address = await vfAddress(machine, card, 0);
    await define(machine, bareGuestXml({ name: 'first', devices: [hostdev(address)] }));
    await machine.sh('virsh start first');
    expect(await refuse([onNetwork('pool', mac(1))])).toMatch(
      new RegExp(`PCI device ${address} is in use by guest 'first' \\(process \\d+\\)`),
    );
  });

  describe('a VF that the host itself uses', () => {
    const vf = `${card}v4`;
    const taker = async () => [hostdevInterface(await vfAddress(machine, card, 4), mac(1))];

    test.each([
      {
        name: 'as a port of a bridge',
        use: `ip link add br8 type bridge; ip link set ${vf} master br8`,
        end: 'ip link delete br8',
        who: `bridge 'br8', whose port its link '${vf}' is`,
      },
      {
        name: 'with an address',
        use: `ip link set ${vf} up; ip address add 192.0.2.7/24 dev ${vf}`,
        end: `ip address flush dev ${vf}; ip link set ${vf} down`,
        who: `the host, whose address 192.0.2.7/24 its link '${vf}' has`,
      },
      {
        name: 'in another network namespace',
        use: `ip netns add elsewhere; ip link set ${vf} netns elsewhere`,
        end: `ip -n elsewhere link set ${vf} netns 1; ip netns delete elsewhere`,
        who: 'another network namespace, where its link is',
      },
    ])('$name', async ({ use, end, who }) => {
      await machine.sh(use);
      expect(await refuse(await taker())).toContain(`in use by ${who}`);
      await machine.sh(end);
    });

    test('is given away when it is not used any more', async () => {
      await define(machine, bareGuestXml({ name: 'g', devices: await taker() }));
      await machine.sh('virsh start g');
      await machine.sh('virsh destroy g');
    });
  });

  describe('what the kernel says of macvtaps that are refused before', () => {
    const make = (name: string, mode: string, address = mac(7)) =>
      machine.run(`ip link add link ${card} name ${name} address ${address} type macvtap mode ${mode}`);

    test('a MAC has one that is up, a device that is passed through has one', async () => {
      expect((await make('mv0', 'bridge')).status).toBe(0);
      expect((await make('mv1', 'bridge')).status).toBe(0);
      await machine.sh('ip link set mv0 up');
      expect((await machine.run('ip link set mv1 up')).stderr).toMatch(/Address already in use|busy/);
      expect((await make('mv2', 'passthru')).status).not.toBe(0);
      await machine.sh('ip link delete mv0; ip link delete mv1');
      expect((await make('mv2', 'passthru')).status).toBe(0);
      expect((await make('mv3', 'bridge')).status).not.toBe(0);
      const macs = await machine.sh(`cat /sys/class/net/mv2/address /sys/class/net/${card}/address`);
      expect(new Set(macs.trim().split('\n')).size).toBe(1);
      await machine.sh('ip link delete mv2');
    });

    test("a bridge's port has none", async () => {
      await machine.sh(`ip link add br8 type bridge; ip link set ${card} master br8`);
      expect((await make('mv0', 'bridge')).stderr).toMatch(/busy/);
      await machine.sh('ip link delete br8');
    });
  });

  test.skipIf(!isFull)('seven guests have the seven VFs, the eighth is told so', async () => {
    const before = await cardState(machine);
    const names = [1, 2, 3, 4, 5, 6, 7].map(number => `g${number}`);
    for (const [place, name] of names.entries())
      await define(machine, bareGuestXml({ name, devices: [onNetwork('pool', mac(place + 1))] }));
    const all = (command: string) =>
      machine.run(`${names.map(name => `virsh ${command} ${name} &`).join(' ')} wait`, { timeoutMs: 900_000 });
    expect((await all('start')).stderr).toBe('');
    expect((await machine.sh('virsh list --name')).trim().split('\n').sort()).toEqual(names);
    const macs = (await cardState(machine)).flatMap(line => / vf \d .* mac (\S+) .*vfio-pci/.exec(line)?.[1] ?? []);
    expect(macs.sort()).toEqual(names.map((_, place) => mac(place + 1)));
    expect(await refuse([onNetwork('pool', mac(8))], 'g8')).toContain("network 'pool': all 7 devices are in use");
    await all('destroy');
    await expect.poll(() => cardState(machine), { timeout: 120_000, interval: 2000 }).toEqual(before);
  });
});
