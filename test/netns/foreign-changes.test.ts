import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { guest, mac, macvtap, makeHost, makeTap, plainBridge, startGuest, unmanagedTap } from './guests.ts';
import { hostState, inNamespace, ip, lineOf, World } from './world.ts';

const config = `
bridges: { br0: { keepForwardingTable: true } }
taps: { create: true }
macvtap: { manage: true }
provide: { bridges: { br7: { ports: [up1] } } }
interfaces: [{ match: { tap: 't*' }, bridge: br7, keepForwardingTable: true }]
`;
const hookData = "<hookData><network><name>n7</name><forward mode='bridge'/><bridge name='br7'/></network></hookData>";
let world: World;
beforeEach(() => {
  if (!inNamespace) return;
  world = new World(config);
  makeHost('up1');
});
afterEach(() => world?.destroy());

const second = (xml: string) => xml.replace('0000000000aa', '0000000000bb').replace('>g1<', '>g2<');

describe.skipIf(!inNamespace)('what others stand on stays whole', () => {
  test.each([
    { name: "a stranger's tap", plug: () => makeTap('hot0', mac(7), 'br7') },
    {
      name: 'a veth of a container',
      plug: () => {
        ip('link', 'add', 'hot0', 'type', 'veth', 'peer', 'name', 'hot1');
        ip('link', 'set', 'hot0', 'master', 'br7');
      },
    },
  ])('a provided bridge with $name keeps its uplink until that has gone', async ({ plug }) => {
    const before = hostState();
    const prepare = guest([unmanagedTap(mac(2), 't1')], 'prepare');
    await world.qemu('prepare', prepare);
    plug();
    await world.qemu('release', prepare);
    expect([lineOf('t1'), lineOf('br7'), lineOf('up1')]).toEqual([
      undefined,
      expect.stringContaining(' up'),
      expect.stringMatching(/ up in br7/),
    ]);
    ip('link', 'del', 'hot0');
    await world.recover();
    expect(hostState()).toEqual(before);
    expect(await world.recover()).toEqual([]);
  });

  test('a bridge made by hand after our own attempt failed is not ours', async () => {
    const fails = { ...world.effects(), run: () => Promise.reject(new Error('it hangs')) };
    expect(await world.network('n7', 'start', hookData, world.context(fails))).toMatchObject({ status: 1 });
    ip('link', 'add', 'br7', 'type', 'bridge');
    await world.network('n7', 'start', hookData);
    await world.network('n7', 'stopped', hookData);
    await world.recover();
    expect(lineOf('br7')).toBeDefined();
  });

  test('a bridge that appears just before ours is made is not removed by the roll-back', async () => {
    const effects = world.effects();
    const late = {
      ...effects,
      run: (...words: Parameters<typeof effects.run>) => {
        execaSync('ip', ['link', 'add', 'br7', 'type', 'bridge'], { reject: false });
        return effects.run(...words);
      },
    };
    expect(await world.network('n7', 'start', hookData, world.context(late))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('File exists'),
    });
    expect(lineOf('br7')).toBeDefined();
    expect(await world.recover()).toEqual([]);
  });

  test('a port of another guest that got the name of ours is left alone', async () => {
    const connections = [plainBridge(mac(1), 'br0', 'web0')];
    const { prepare } = await startGuest(world, connections);
    ip('link', 'del', 'web0');
    makeTap('web0', mac(6), 'br0');
    ip('link', 'set', 'web0', 'type', 'bridge_slave', 'learning', 'off', 'flood', 'off');
    await world.qemu('stopped', prepare);
    await world.qemu('release', prepare);
    expect(lineOf('web0')).toContain('learning false flood false');
  });
});

describe.skipIf(!inNamespace)('calls in an unusual order', () => {
  test('reconnect leaves a passed-through device up that went down and up meanwhile', async () => {
    const connections = [macvtap(mac(3), 'eth7', 'passthrough')];
    const before = hostState();
    const { prepare, start } = await startGuest(world, connections);
    await world.reach('unreachable', start);
    await world.reach('reachable', start);
    await world.qemu('reconnect', start);
    expect([lineOf('eth7'), lineOf('macvtap0')]).toEqual([
      expect.stringContaining(' up'),
      expect.stringContaining(' up'),
    ]);
    await world.qemu('stopped', prepare);
    connections[0]?.remove?.();
    await world.qemu('release', prepare);
    expect(hostState()).toEqual(before);
  });

  test('start twice still knows how the physdev was', async () => {
    const connections = [macvtap(mac(3), 'eth7', 'passthrough')];
    const [prepare, start] = [guest(connections, 'prepare'), guest(connections, 'start')];
    const before = hostState();
    await world.qemu('prepare', prepare);
    connections[0]?.make?.();
    await world.qemu('start', start);
    connections[0]?.open?.();
    await world.qemu('start', start);
    await world.qemu('started', start);
    connections[0]?.remove?.();
    await world.qemu('release', prepare);
    expect(hostState()).toEqual(before);
  });

  test('prepare again while the old tap cannot be removed loses nothing', async () => {
    const before = hostState();
    const prepare = guest([unmanagedTap(mac(2), 't1')], 'prepare');
    await world.qemu('prepare', prepare);
    const effects = world.effects();
    const stuck = { ...effects, run: () => Promise.resolve([{ place: 0, message: 'device is busy' }]) };
    await world.qemu('release', prepare, world.context(stuck));
    await world.qemu('prepare', prepare);
    await world.qemu('release', prepare);
    await world.recover();
    expect(hostState()).toEqual(before);
  });

  test('two guests on one physdev, one leaving while the other starts', async () => {
    const [one, two] = [[macvtap(mac(3), 'eth7', 'vepa', 'mv1')], [macvtap(mac(4), 'eth7', 'vepa', 'mv2')]];
    const before = hostState();
    await world.qemu('prepare', guest(one, 'prepare'));
    one[0]?.make?.();
    await world.qemu('start', guest(one, 'start'));
    one[0]?.open?.();
    await world.qemu('started', guest(one, 'start'));
    await world.qemu('prepare', second(guest(two, 'prepare')));
    two[0]?.make?.();
    await world.qemu('start', second(guest(two, 'start')));
    one[0]?.remove?.();
    await world.qemu('release', guest(one, 'prepare'));
    expect(lineOf('eth7')).toContain(' up');
    two[0]?.open?.();
    await world.qemu('started', second(guest(two, 'start')));
    two[0]?.remove?.();
    await world.qemu('release', second(guest(two, 'prepare')));
    expect(hostState()).toEqual(before);
  });

  test('an incoming guest with a tap of its own is not cut off before anybody opens it', async () => {
    const prepare = guest([unmanagedTap(mac(2), 't1')], 'prepare');
    await world.qemu('migrate', prepare.replace(" id='1'", ''));
    await world.qemu('prepare', prepare);
    await world.qemu('start', prepare);
    await world.qemu('started', prepare);
    expect(lineOf('t1')).toContain('learning true flood true');
  });

  test('a port whose entry cannot be added goes on learning', async () => {
    makeTap('other', mac(8), 'br0');
    execaSync('bridge', ['fdb', 'add', mac(1), 'dev', 'other', 'master', 'static']);
    const connections = [plainBridge(mac(1), 'br0', 'vnet0')];
    await world.qemu('prepare', guest(connections, 'prepare'));
    connections[0]?.make?.();
    await world.qemu('start', guest(connections, 'start'));
    await world.qemu('started', guest(connections, 'start'));
    expect(lineOf('vnet0')).toContain('learning true flood true');
  });
});

describe.skipIf(!inNamespace)('ledgers', () => {
  test('that cannot be read are kept, and recovering goes on with the others', async () => {
    const prepare = guest([unmanagedTap(mac(2), 't1')], 'prepare');
    await world.qemu('prepare', prepare);
    await world.qemu('prepare', second(guest([unmanagedTap(mac(5), 't2')], 'prepare')));
    const file = path.join(world.paths.state, 'ledgers/0b0e1f52-0000-4000-8000-0000000000aa.jsonl');
    const good = readFileSync(file, 'utf8');
    writeFileSync(file, good + ' '.repeat(65 * 1024 * 1024));
    expect(await world.qemu('release', prepare)).toMatchObject({ status: 0 });
    const lines = await world.recover();
    expect(lines).toContainEqual(expect.stringContaining('is larger than'));
    expect([lineOf('t1'), lineOf('t2')]).toEqual([expect.any(String), undefined]);
    writeFileSync(file, `${good}{"at":"x","intend":null}\n{"at":"x","done":[null]}\n{"at":"x","int`);
    await world.recover();
    const kept = expect.stringContaining('has lines that this version does not know: 2 are kept');
    expect([lineOf('t1'), await world.recover()]).toEqual([undefined, [kept]]);
  });

  test('stay small however often the guest is suspended', async () => {
    const connections = [plainBridge(mac(1), 'br0', 'vnet0')];
    const start = guest(connections, 'start');
    await world.qemu('prepare', guest(connections, 'prepare'));
    connections[0]?.make?.();
    await world.qemu('start', start);
    for (let turn = 0; turn < 60; turn++) {
      await world.reach('reachable', start);
      await world.reach('unreachable', start);
    }
    const file = path.join(world.paths.state, 'ledgers/0b0e1f52-0000-4000-8000-0000000000aa.jsonl');
    expect(readFileSync(file, 'utf8').split('\n').length).toBeLessThan(150);
  });
});
