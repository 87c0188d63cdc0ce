import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { vfsCommand } from '../../src/cli/vfs.ts';
import type { HookContext } from '../../src/hook/context.ts';
import type { Effects } from '../../src/journal/effects.ts';
import { domainXml, guestUuid } from '../helpers/documents.ts';
import type { FakePf } from './fake-cards.ts';
import { CardWorld } from './world.ts';

const card = (vfs: number): FakePf => ({
  dev: 'ens1f0',
  address: '0000:5e:00.0',
  driver: 'igb',
  vfDriver: 'igbvf',
  vfs,
});
const config = 'provide: { vfs: { ens1f0: { count: 4, unmanaged: true } } }\n';
const network = `<hookData><network><name>vfs</name><forward mode='hostdev'><pf dev='ens1f0'/></forward></network></hookData>`;
const io = { write: () => undefined } as never;
const fine = { status: 0, stdout: '', stderr: '' };

let world: CardWorld;
afterEach(() => world.destroy());

const count = () => world.cards.state().length;
const rule = () => existsSync(path.join(world.root, 'run/udev/rules.d/85-actualnet-ens1f0.rules'));

describe('VFs that the configuration provides', () => {
  test('are there before libvirt looks for them, and go with the network', async () => {
    world = new CardWorld(config, [card(0)]);
    world.cards.byHand('link set dev ens1f0 down');
    expect(await world.network('vfs', 'start', network)).toEqual(fine);
    expect([count(), rule()]).toEqual([4, true]);
    expect(world.cards.commands).toEqual(['link set dev ens1f0 up', 'unmanaged ens1f0 on', 'numvfs ens1f0 4']);
    await world.network('vfs', 'stopped', network);
    expect([count(), rule()]).toEqual([0, false]);
  });

  test('stay while a guest has one, and go by recover', async () => {
    world = new CardWorld(config, [card(0)]);
    await world.network('vfs', 'start', network);
    const giveBack = world.cards.libvirtTakes('ens1f0', 2, { mac: '52:54:00:00:00:01' });
    await world.network('vfs', 'stopped', network);
    expect(count()).toBe(4);
    expect(world.log()).toContain("VF 0000:5e:01.2: it is bound to 'vfio-pci'");
    giveBack();
    await world.recover();
    expect(count()).toBe(0);
  });

  test.each([
    { name: 'enough', vfs: 4 },
    { name: 'more', vfs: 6 },
  ])('$name are there already: nothing is made and nothing taken away', async ({ vfs }) => {
    world = new CardWorld('provide: { vfs: { ens1f0: { count: 4 } } }', [card(vfs)]);
    await world.network('vfs', 'start', network);
    await world.network('vfs', 'stopped', network);
    expect(world.cards.commands).toEqual([]);
    expect(count()).toBe(vfs);
  });

  test('too few are made anew by way of none', async () => {
    world = new CardWorld(config, [card(2)]);
    expect(await world.network('vfs', 'start', network)).toEqual(fine);
    expect(count()).toBe(4);
  });

  test.each<{ name: string; use: () => void; why: string }>([
    {
      name: 'a guest has',
      use: () => world.cards.libvirtTakes('ens1f0', 1, { mac: '52:54:00:00:00:01' }),
      why: "VF 0000:5e:01.1: it is bound to 'vfio-pci'",
    },
    {
      name: 'the host uses',
      use: () => world.cards.byHand('link set dev ens1f0v1 up'),
      why: "VF 0000:5e:01.1: its link 'ens1f0v1' is up",
    },
    {
      name: 'a container has',
      use: () => world.cards.moveLinkAway('ens1f0', 1),
      why: 'VF 0000:5e:01.1: its link was given to a container',
    },
  ])('too few, of which $name one: told, and nothing is written', async ({ use, why }) => {
    world = new CardWorld(config, [card(2)]);
    use();
    expect(await world.network('vfs', 'start', network)).toEqual(fine);
    expect(world.log()).toContain(
      `network 'vfs', start: there are only 2 VFs on 'ens1f0' instead of 4, and more cannot be made now: ${why}`,
    );
    expect(world.cards.commands).toEqual(['unmanaged ens1f0 on']);
    const { config: read, effects } = world.context();
    await expect(vfsCommand({ pf: 'ens1f0', config: await read(), effects }, {} as never)).rejects.toThrow(why);
  });

  const starting = domainXml(
    `<interface type='hostdev' managed='yes'><mac address='52:54:00:00:00:01'/><source><address type='pci' domain='0x0000' bus='0x5e' slot='0x01' function='0x0'/></source></interface>`,
  );

  test.each(['', 'hostdevs: { restore: true }\n'])(
    'neither go nor are made anew while a guest is only being given one %j',
    async more => {
      world = new CardWorld(`${more}${config}`, [card(0)]);
      await world.network('vfs', 'start', network);
      await world.qemu('prepare', starting);
      await world.network('vfs', 'stopped', network);
      expect([count(), rule()]).toEqual([4, true]);
      expect(world.log()).toContain("VF 0000:5e:01.0: it is being given to guest 'g1'");
      writeFileSync(path.join(world.paths.config, 'config.yaml'), `${more}${config.replace('4', '6')}`);
      expect(await world.network('vfs', 'start', network)).toEqual(fine);
      expect(world.log()).toMatch(/only 4 VFs on 'ens1f0' instead of 6.*it is being given to guest 'g1'/);
      expect(count()).toBe(4);
      await world.network('vfs', 'stopped', network);
      // libvirt refuses it: it ends without ever having run.
      await world.qemu('release', starting);
      expect([count(), rule()]).toEqual([0, false]);
    },
  );

  test('are left to network managers only when the last guest has gone', async () => {
    world = new CardWorld(config, [card(0)]);
    await world.network('vfs', 'start', network);
    const giveBack = world.cards.libvirtTakes('ens1f0', 2, { mac: '52:54:00:00:00:01' });
    await world.network('vfs', 'stopped', network);
    expect(rule()).toBe(true);
    giveBack();
    await world.recover();
    expect([count(), rule()]).toEqual([0, false]);
  });

  test.each([
    [
      'by hand',
      (c: HookContext) => c.config().then(own => vfsCommand({ pf: 'ens1f0', config: own, effects: c.effects }, io)),
    ],
    ['by a network', (c: HookContext) => world.network('vfs', 'start', network, c)],
  ])('are made %s while nobody else can be at the card', async (_, make) => {
    world = new CardWorld(config, [card(2)]);
    const context = world.context();
    const held = new Set<string>();
    const heldAtChange: string[][] = [];
    const effects: Effects = {
      ...context.effects,
      async lock(names) {
        const unlock = await context.effects.lock(names);
        for (const name of names) held.add(name);
        return () => {
          for (const name of names) held.delete(name);
          unlock();
        };
      },
      run(commands, options) {
        heldAtChange.push([...held]);
        return context.effects.run(commands, options);
      },
    };
    await make({ ...context, effects });
    expect(count()).toBe(4);
    expect(heldAtChange).not.toEqual([]);
    for (const names of heldAtChange) expect(names).toContain('ens1f0');
    expect([...held]).toEqual([]);
  });

  test('by hand, and then they are the administrator’s', async () => {
    world = new CardWorld(config, [card(0)]);
    const { config: read, effects } = world.context();
    const written: string[] = [];
    const io = { write: (text: string) => void written.push(text) } as never;
    await vfsCommand({ pf: undefined, config: await read(), effects }, io);
    expect(written).toEqual(['ens1f0: 4 VFs\n']);
    await world.network('vfs', 'start', network);
    await world.network('vfs', 'stopped', network);
    expect([count(), rule()]).toEqual([4, true]);
    await expect(vfsCommand({ pf: 'eth9', config: await read(), effects }, io)).rejects.toThrow("no VFs on 'eth9'");
  });

  test.each([
    { name: 'one that is not there', others: 'eth8: { count: 2 }', says: /PF 'eth8'/ },
    { name: 'two of them', others: 'eth8: { count: 2 }, eth9: { count: 1 }', says: /PF 'eth8'.*; PF 'eth9'/ },
  ])('by the command are made behind PFs that cannot have theirs: $name', async ({ others, says }) => {
    world = new CardWorld(`provide: { vfs: { ${others}, ens1f0: { count: 4 } } }`, [card(0)]);
    const { config: read, effects } = world.context();
    const written: string[] = [];
    const io = { write: (text: string) => void written.push(text) } as never;
    await expect(vfsCommand({ pf: undefined, config: await read(), effects }, io)).rejects.toThrow(says);
    expect([written, count()]).toEqual([['ens1f0: 4 VFs\n'], 4]);
  });

  test('a guest with an interface of its own brings its PF up', async () => {
    world = new CardWorld('provide: { vfs: { ens1f0: { count: 2 } } }', [card(2)]);
    world.cards.byHand('link set dev ens1f0 down');
    const xml = domainXml(
      `<interface type='hostdev' managed='yes'><mac address='52:54:00:00:00:01'/><source><address type='pci' domain='0x0000' bus='0x5e' slot='0x01' function='0x0'/></source></interface>`,
    );
    expect(await world.qemu('prepare', xml)).toEqual(fine);
    expect(world.cards.commands).toEqual(['link set dev ens1f0 up']);
    await world.qemu('release', xml);
    expect(world.cards.commands.at(-1)).toBe('link set dev ens1f0 down');
  });
});

describe('a PF', () => {
  test('that is down comes up for a guest of its pool, when the port says that it is this one', async () => {
    world = new CardWorld('provide: { vfs: { ens1f0: { count: 2 } } }', [card(2)]);
    world.cards.byHand('link set dev ens1f0 down');
    const uuid = '0b0e1f52-0000-4000-8000-0000000000c1';
    const port = `<networkport><uuid>${uuid}</uuid><owner><name>g1</name><uuid>${guestUuid}</uuid></owner><mac address='${mac}'/><plug type='hostdev-pci' managed='yes'><address bus='0x5e' slot='0x01' function='0x0'/></plug></networkport>`;
    const of = (inside: string) => network.replace('</hookData>', `${inside}</hookData>`);
    expect(await world.qemu('prepare', domainXml(''))).toEqual(fine);
    expect(await world.network('vfs', 'port-created', of(port))).toEqual(fine);
    expect(world.cards.commands).toEqual(['link set dev ens1f0 up']);
    await world.qemu('stopped', domainXml(''));
    await world.network('vfs', 'port-deleted', of(port));
    await world.qemu('release', domainXml(''));
    expect(world.cards.commands.at(-1)).toBe('link set dev ens1f0 down');
  });

  const mac = '52:54:00:00:00:01';
  const own = domainXml(
    `<interface type='hostdev' managed='yes'><mac address='${mac}'/><source><address type='pci' domain='0x0000' bus='0x5e' slot='0x01' function='0x1'/></source></interface>`,
  );

  test('is not taken down below guests that have its VFs', async () => {
    world = new CardWorld('provide: { vfs: { ens1f0: { count: 2 } } }', [card(2)]);
    world.cards.byHand('link set dev ens1f0 down');
    await world.network('vfs', 'start', network);
    const giveBack = world.cards.libvirtTakes('ens1f0', 0, { mac });
    await world.network('vfs', 'stopped', network);
    expect(world.cards.commands).toEqual(['link set dev ens1f0 up']);
    giveBack();
    await world.recover();
    expect(world.cards.commands.at(-1)).toBe('link set dev ens1f0 down');
  });

  test('of which a guest has a VF of its own need not have as many as are provided', async () => {
    world = new CardWorld('provide: { vfs: { ens1f0: { count: 6 } } }', [card(3)]);
    world.cards.libvirtTakes('ens1f0', 0, { mac: '52:54:00:00:00:02' });
    expect(await world.qemu('prepare', own)).toEqual(fine);
    expect(world.cards.commands).toEqual([]);
  });
});

describe('a driver that does not take its device', () => {
  test('leaves it with the one it had, and nothing of ours', async () => {
    world = new CardWorld('hostdevs: { bind: true }', [card(2)]);
    const before = world.cards.state();
    world.cards.refusesToBind = 'vfio-pci';
    const xml = domainXml(
      `<hostdev mode='subsystem' type='pci' managed='no'><source><address bus='0x5e' slot='0x01' function='0x1'/></source></hostdev>`,
    );
    expect(await world.qemu('prepare', xml)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('did not take it'),
    });
    expect(world.cards.state()).toEqual(before);
    await world.qemu('release', xml);
    expect(await world.recover()).toEqual([]);
  });
});

describe('a port that a daemon announces again', () => {
  test('is not refused, whatever is wrong by now', async () => {
    world = new CardWorld('hostdevs: { restore: true }', [card(2)]);
    const uuid = '0b0e1f52-0000-4000-8000-0000000000c1';
    const port = `<networkport><uuid>${uuid}</uuid><owner><name>g1</name><uuid>${guestUuid}</uuid></owner><mac address='52:54:00:00:00:01'/><plug type='hostdev-pci' managed='yes'><address bus='0x5e' slot='0x01' function='0x0'/></plug></networkport>`;
    const created = network.replace('</hookData>', `${port}</hookData>`);
    await world.qemu('prepare', domainXml(''));
    expect(await world.network('vfs', 'port-created', created)).toEqual(fine);
    mkdirSync(path.join(world.paths.config, 'conf.d'));
    writeFileSync(path.join(world.paths.config, 'conf.d/a.yaml'), 'hostdevs: { restor: true }\n');
    expect(await world.network('vfs', 'port-created', created)).toEqual(fine);
    expect(world.log()).toContain("unknown key 'restor'");
    // Without a good one, a port that is new is refused: libvirt gives up the start, and says why.
    const another = created.replace(uuid, uuid.replace('c1', 'c9'));
    rmSync(path.join(world.paths.state, 'config.json'));
    rmSync(world.paths.lasting, { recursive: true });
    expect(await world.network('vfs', 'port-created', created)).toEqual(fine);
    expect(await world.network('vfs', 'port-created', another)).toMatchObject({ status: 1 });
  });
});
