import Ajv from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import ledgerSchema from '../../schemas/ledger.schema.json' with { type: 'json' };
import type { Effects } from '../../src/journal/effects.ts';
import {
  type Connection,
  commandLineMac,
  guest,
  guestUuid,
  mac,
  macvtap,
  makeHost,
  makeTap,
  plainBridge,
  startGuest,
  unmanagedTap,
} from './guests.ts';
import { hostState, inNamespace, ip, kernelLacks, World } from './world.ts';

const config = `
bridges:
  br0: { keepForwardingTable: true, isolated: true }
taps: { create: true }
macvtap: { manage: true }
interfaces:
  - match: { tap: 'tapx*' }
    bridge: br0
    keepForwardingTable: true
`;
const lacksMacvtap = macvtapReason();

function macvtapReason(): string | undefined {
  if (!inNamespace) return 'not in a private namespace';
  ip('link', 'add', 'pv0', 'type', 'veth', 'peer', 'name', 'pv1');
  const reason = kernelLacks('link', 'add', 'link', 'pv0', 'name', 'probe0', 'type', 'macvtap');
  ip('link', 'del', 'pv0');
  return reason;
}

let world: World;
beforeEach(() => {
  if (!inNamespace) return;
  world = new World(config);
  makeHost();
});
afterEach(() => world?.destroy());

/** Plays a whole life; `running` looks at the host while the CPUs run. */
async function live(
  connections: readonly Connection[],
  running: () => void,
  extra: { tap?: string; metadata?: string; effects?: Effects } = {},
) {
  const [prepare, start] = [guest(connections, 'prepare', extra), guest(connections, 'start', extra)];
  const context = world.context(extra.effects);
  const call = async (operation: string, xml: string) => {
    expect(await world.qemu(operation, xml, context), operation).toEqual({ status: 0, stdout: '', stderr: '' });
  };
  await call('prepare', prepare);
  for (const { make } of connections) make?.();
  await call('start', start);
  for (const { open } of connections) open?.();
  await call('started', start);
  running();
  for (const { vanish } of connections) vanish?.();
  await call('stopped', prepare);
  for (const { remove } of connections) remove?.();
  await call('release', prepare);
  expect(world.records()).toEqual([]);
}

const has = (...lines: string[]) =>
  expect(hostState()).toEqual(expect.arrayContaining(lines.map(line => expect.stringContaining(line))));

describe.skipIf(!inNamespace)('a guest life leaves the host as it was', () => {
  test('on a bridge whose forwarding table is kept', async () => {
    const before = hostState();
    await live([plainBridge(mac(1), 'br0', 'vnet0')], () => {
      has(`${mac(1)} static on vnet0 of br0`, 'in br0 learning false flood false isolated true');
    });
    expect(hostState()).toEqual(before);
  });

  test('on a bridge that is left to the kernel', async () => {
    const before = hostState();
    await live([plainBridge(mac(1), 'br1', 'vnet0')], () => {
      has('in br1 learning true flood true isolated false');
      expect(hostState().filter(line => line.startsWith(mac(1)))).toEqual([]);
    });
    expect(hostState()).toEqual(before);
  });

  test('with taps that libvirt does not make: an unmanaged one and one of the command line', async () => {
    const before = hostState();
    const tap = unmanagedTap('fe:54:00:00:00:02', 'tapx1');
    await live(
      [tap],
      () => {
        has('fe:54:00:00:00:02 static on tapx1 of br0', `${commandLineMac} static on tapx0 of br0`);
        has('tapx1 tun on - fa:54:00:00:00:02 mtu 1500 up in br0 learning false flood false');
        has('tapx0 tun on - fe:54:00:00:00:09 mtu 1500 up in br0 learning false flood false', 'multiqueue true');
      },
      { tap: 'tapx0' },
    );
    expect(hostState()).toEqual(before);
  });

  test('with a tap that existed before: it is used and left as it was', async () => {
    makeTap('tapx1', mac(2), 'br1');
    const before = hostState();
    await live([unmanagedTap(mac(2), 'tapx1')], () => has('tapx1 tun on - fe:54:00:00:00:02 mtu 1500 up in br1'));
    expect(hostState()).toEqual(before);
  });

  test.skipIf(lacksMacvtap !== undefined).each([
    { physdev: 'eth7', mode: 'passthrough', was: 'down' },
    { physdev: 'eth7', mode: 'vepa', was: 'down' },
    { physdev: 'eth7', mode: 'private', was: 'down' },
    { physdev: 'eth8', mode: 'bridge', was: 'up' },
    { physdev: 'eth8', mode: 'passthrough', was: 'up' },
  ] as const)('on a macvtap in mode $mode, its physdev $was before', async ({ physdev, mode }) => {
    const before = hostState();
    await live([macvtap(mac(3), physdev, mode)], () => has(`macvtap0 macvtap on ${physdev}`));
    expect(hostState()).toEqual(before);
  });

  test('with everything at once, and what the guest asks for in its metadata', async () => {
    const requests = `<interfaces xmlns='urn:actualnet:guest:1'><interface mac='${mac(1)}' isolated='no'/></interfaces>`;
    const before = hostState();
    const all = [
      plainBridge(mac(1), 'br0', 'vnet0'),
      plainBridge(mac(4), 'br1', 'vnet1'),
      unmanagedTap(mac(2), 'tapx1'),
      macvtap(mac(3), 'eth7', 'passthrough'),
    ];
    await live(
      all,
      () => has(`${mac(1)} static on vnet0 of br0`, 'vnet0 tun', 'macvtap0 macvtap on eth7', 'eth7 veth'),
      { tap: 'tapx0', metadata: requests },
    );
    expect(world.log()).toContain("does not let guests choose 'isolated'");
    expect(hostState()).toEqual(before);
  });

  test('a PF below the bridge knows the MAC while the guest runs', async () => {
    world.destroy();
    world = new World('bridges: { br0: { pfForwardingTable: true } }');
    makeHost();
    const before = hostState();
    await live([plainBridge(mac(1), 'br0', 'vnet0')], () => has(`${mac(1)} permanent on up0 itself`), {
      effects: withVfs(world.effects(), 'up0'),
    });
    expect(hostState()).toEqual(before);
  });

  test('an entry that was in the PF before stays', async () => {
    world.destroy();
    world = new World('bridges: { br0: { pfForwardingTable: true } }');
    makeHost();
    ip('link', 'set', 'lo', 'up');
    const { execaSync } = await import('execa');
    execaSync('bridge', ['fdb', 'add', mac(1), 'dev', 'up0', 'self']);
    const before = hostState();
    await live([plainBridge(mac(1), 'br0', 'vnet0')], () => {}, { effects: withVfs(world.effects(), 'up0') });
    expect(hostState()).toEqual(before);
  });
});

/** A card with virtual functions, which this kernel does not have: the link is real, the number is not. */
function withVfs(effects: Effects, pf: string): Effects {
  return {
    ...effects,
    view: async needs => {
      const host = await effects.view(needs);
      return {
        ...host,
        link: dev => {
          const link = host.link(dev);
          return link && dev === pf ? { ...link, vfs: 2 } : link;
        },
      };
    },
  };
}

describe.skipIf(!inNamespace)('ledgers', () => {
  test('follow their schema, the shared ones too', async () => {
    const connections = [
      plainBridge(mac(1), 'br0', 'vnet0'),
      unmanagedTap(mac(2), 'tapx1'),
      macvtap(mac(3), 'eth7', 'vepa'),
    ];
    const isSound = new Ajv({ allowUnionTypes: true }).compile(ledgerSchema);
    const effects = world.effects();
    await live(connections, () => {
      const shared = effects.sharedNames().flatMap(dev => effects.sharedLedger(dev).read());
      const own = effects
        .guestLedger(guestUuid as never)
        .read()
        .filter(line => !('op' in (line as object)));
      expect([own.length, shared.length].every(count => count > 0)).toBe(true);
      for (const line of [...own, ...shared]) expect(isSound(line), JSON.stringify(line)).toBe(true);
    });
  });
});

describe.skipIf(!inNamespace)('an incoming guest', () => {
  test('is not opened at started, but by whoever knows that its CPUs run', async () => {
    const connections = [plainBridge(mac(1), 'br0', 'vnet0')];
    const [prepare, start] = [guest(connections, 'prepare'), guest(connections, 'start')];
    const before = hostState();
    await world.qemu('migrate', prepare.replace(" id='1'", ''));
    await world.qemu('prepare', prepare);
    connections[0]?.make?.();
    await world.qemu('start', start);
    await world.qemu('started', start);
    has('in br0 learning true flood true');
    expect(hostState().filter(line => line.startsWith(mac(1)))).toEqual([]);
    await world.reach('reachable', start);
    has(`${mac(1)} static on vnet0 of br0`, 'in br0 learning false flood false');
    await world.reach('unreachable', start);
    expect(hostState().filter(line => line.startsWith(mac(1)))).toEqual([]);
    await world.reach('reachable', start);
    connections[0]?.vanish?.();
    await world.qemu('stopped', prepare);
    await world.qemu('release', prepare);
    expect(hostState()).toEqual(before);
  });

  test.skipIf(lacksMacvtap !== undefined).each([
    { mode: 'passthrough', physdev: 'down' },
    { mode: 'vepa', physdev: 'up' },
  ] as const)(
    'whose CPUs stop: the macvtap goes down, in mode $mode the physdev is $physdev',
    async ({ mode, physdev }) => {
      const connections = [macvtap(mac(3), 'eth7', mode)];
      const before = hostState();
      const { prepare, start } = await startGuest(world, connections);
      await world.reach('unreachable', start);
      const state = (dev: string) => hostState().find(line => line.startsWith(`${dev} `));
      expect(state('macvtap0')).toContain(' down');
      expect(state('eth7')).toContain(` ${physdev}`);
      await world.reach('reachable', start);
      expect([state('macvtap0'), state('eth7')]).toEqual([
        expect.stringContaining(' up'),
        expect.stringContaining(' up'),
      ]);
      await world.qemu('stopped', prepare);
      connections[0]?.remove?.();
      await world.qemu('release', prepare);
      expect(hostState()).toEqual(before);
    },
  );
});

describe.skipIf(!inNamespace)('what somebody else does in between stays', () => {
  test.skipIf(lacksMacvtap !== undefined)(
    'a macvtap that libvirt put up at the resume, also after a restart of its daemon',
    async () => {
      const connections = [macvtap(mac(3), 'eth7', 'vepa')];
      const { start, prepare } = await startGuest(world, connections);
      const state = () => hostState().find(line => line.startsWith('macvtap0 '));
      await world.reach('unreachable', start);
      expect(state()).toContain(' down');
      ip('link', 'set', 'macvtap0', 'up');
      await world.reach('reachable', start);
      await world.qemu('reconnect', start);
      expect(state()).toContain(' up');
      await world.qemu('stopped', prepare);
      connections[0]?.remove?.();
      await world.qemu('release', prepare);
    },
  );

  test.skipIf(lacksMacvtap !== undefined)('a physdev that was brought up by hand after we put it down', async () => {
    const connections = [macvtap(mac(3), 'eth7', 'passthrough')];
    const { prepare, start } = await startGuest(world, connections);
    await world.reach('unreachable', start);
    expect(hostState().find(line => line.startsWith('eth7 '))).toContain(' down');
    ip('link', 'set', 'eth7', 'up');
    await world.qemu('stopped', prepare);
    connections[0]?.remove?.();
    await world.qemu('release', prepare);
    expect(hostState().find(line => line.startsWith('eth7 '))).toContain(' up');
    expect(world.log()).toContain('eth7 down: somebody has changed it since');
    expect(await world.recover()).toEqual([]);
  });

  test('an entry and a flag that were set by hand', async () => {
    const connections = [plainBridge(mac(1), 'br0', 'vnet0')];
    const { prepare } = await startGuest(world, connections);
    const { execaSync } = await import('execa');
    execaSync('bridge', ['fdb', 'add', '52:54:00:00:00:77', 'dev', 'vnet0', 'master', 'static']);
    ip('link', 'set', 'vnet0', 'type', 'bridge_slave', 'flood', 'on');
    await world.qemu('stopped', prepare);
    await world.qemu('release', prepare);
    has('52:54:00:00:00:77 static on vnet0', 'in br0 learning true flood true');
  });

  test.skipIf(lacksMacvtap !== undefined)(
    'a physdev that another macvtap uses stays up until that one has gone',
    async () => {
      const before = hostState();
      const connections = [macvtap(mac(3), 'eth7', 'vepa')];
      const { prepare } = await startGuest(world, connections);
      ip('link', 'add', 'link', 'eth7', 'name', 'mvother', 'type', 'macvtap', 'mode', 'vepa');
      connections[0]?.remove?.();
      await world.qemu('stopped', prepare);
      await world.qemu('release', prepare);
      expect(hostState().find(line => line.startsWith('eth7 '))).toContain(' up');
      expect(world.log()).toContain('still used by mvother');
      ip('link', 'del', 'mvother');
      expect(await world.recover()).toHaveLength(1);
      expect(hostState()).toEqual(before);
      expect(await world.recover()).toEqual([]);
    },
  );

  test('a tap that was replaced by another of that name is not removed', async () => {
    const prepare = guest([unmanagedTap(mac(2), 'tapx1')], 'prepare');
    await world.qemu('prepare', prepare);
    ip('link', 'del', 'tapx1');
    ip('tuntap', 'add', 'dev', 'tapx1', 'mode', 'tap');
    await world.qemu('release', prepare);
    has('tapx1 tun');
    expect(world.log()).toContain('another device has that name now');
    expect(world.records()).toEqual([]);
  });
});

describe.skipIf(!inNamespace)('refusals before QEMU runs', () => {
  test('a bridge that is not there', async () => {
    ip('link', 'del', 'br0');
    const before = hostState();
    const answer = await world.qemu('prepare', guest([unmanagedTap(mac(2), 'tapx1')], 'prepare'));
    expect(answer).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/there is no bridge 'br0' to plug 'tapx1' into .*\[DEVICE_MISSING\]\n$/),
    });
    expect(hostState()).toEqual(before);
  });

  test('a MAC that has a fixed entry on another port', async () => {
    makeTap('other', '52:54:00:00:00:55', 'br0');
    const { execaSync } = await import('execa');
    execaSync('bridge', ['fdb', 'add', mac(1), 'dev', 'other', 'master', 'static']);
    const connections = [plainBridge(mac(1), 'br0', 'vnet0')];
    await world.qemu('prepare', guest(connections, 'prepare'));
    connections[0]?.make?.();
    await world.qemu('start', guest(connections, 'start'));
    expect(await world.qemu('started', guest(connections, 'start'))).toMatchObject({ status: 0 });
    expect(world.records()[0]?.findings).toContain(`${mac(1)} has a fixed entry on 'other' already`);
  });

  test('a mistake in the configuration', async () => {
    world.destroy();
    world = new World('bridges: { br0: { keepForwardingTabel: true } }');
    const answer = await world.qemu('prepare', guest([], 'prepare'));
    expect(answer).toMatchObject({ status: 1, stderr: expect.stringMatching(/config\.yaml:1: .*\[CONFIG\]\n$/) });
    expect(await world.qemu('reconnect', guest([], 'start'))).toMatchObject({ status: 0 });
    expect(await world.qemu('release', guest([], 'prepare'))).toMatchObject({ status: 0 });
  });
});

describe.skipIf(!inNamespace)('parts that the configuration provides', () => {
  const provides =
    'provide: { bridges: { br7: { ports: [eth7], mtu: 1400 } } }\ntaps: { create: true }\ninterfaces: [{ match: { tap: "tapx*" }, bridge: br7 }]';
  const hookData =
    "<hookData><network><name>n7</name><forward mode='bridge'/><bridge name='br7'/></network></hookData>";

  test('are made when a network starts and removed when it stops', async () => {
    world.destroy();
    world = new World(provides);
    makeHost();
    const before = hostState();
    expect(await world.network('n7', 'start', hookData)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(hostState().find(line => line.startsWith('br7 '))).toContain('mtu 1400 up');
    has('eth7 veth on eth7p', 'in br7');
    await world.network('n7', 'started', hookData);
    await world.network('n7', 'stopped', hookData);
    expect(hostState()).toEqual(before);
  });

  test('stay until the last user has gone', async () => {
    world.destroy();
    world = new World(provides);
    makeHost();
    const before = hostState();
    const prepare = guest([unmanagedTap(mac(2), 'tapx1')], 'prepare');
    await world.network('n7', 'start', hookData);
    await world.qemu('prepare', prepare);
    has('tapx1 tun on - fe:54:00:00:00:02 mtu 1400 up in br7');
    await world.network('n7', 'stopped', hookData);
    expect(hostState().some(line => line.startsWith('br7 '))).toBe(true);
    await world.qemu('release', prepare);
    expect(hostState()).toEqual(before);
  });
});
