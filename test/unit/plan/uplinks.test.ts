import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { readLink } from '../../../src/host/kernel/links.ts';
import type { LinkState } from '../../../src/kernel/host-view.ts';
import { pfsBelow, uplinksOf } from '../../../src/plan/uplinks.ts';
import { hostView, link } from '../../helpers/host-view.ts';

async function configOf(text: string) {
  const result = await parseConfig([{ file: 'test', text }]);
  if ('mistakes' in result) throw new Error(result.mistakes.join('\n'));
  return result.config;
}

describe('the uplinks of a bridge', () => {
  const other = (dev: string, facts: Partial<LinkState> = {}) => link(dev, { kind: 'other', ...facts });
  const links = [
    link('br0', {
      isBridge: true,
      lowers: ['eno1', 'bond0', 'team0', 'eno1.5', 'q7', 'veth0', 'vx0', 'tap0', 'vx0.9', 'loop0'],
    }),
    link('eno1'),
    link('bond0', { kind: 'bond', lowers: ['eno2'] }),
    link('team0', { kind: 'team' }),
    link('eno1.5', { kind: 'vlan', lowers: ['eno1'] }),
    link('q7', { kind: 'vlan', lowers: ['eno1.5'] }),
    other('veth0'),
    other('vx0'),
    link('tap0', { isTap: true }),
    link('vx0.9', { kind: 'vlan', lowers: ['vx0'] }),
    link('loop0', { kind: 'vlan', lowers: ['loop0'] }),
  ];
  const physical = ['eno1', 'bond0', 'team0', 'eno1.5', 'q7'];

  test.each([
    { name: 'lead out by themselves', text: '', uplinks: physical },
    { name: 'are named', text: 'bridges: { br0: { uplinks: [vx0] } }', uplinks: [...physical, 'vx0'] },
    {
      name: 'are named by a pattern',
      text: "bridges: { br0: { uplinks: ['v*'] } }",
      uplinks: [...physical, 'veth0', 'vx0', 'vx0.9'],
    },
    { name: 'are named for another bridge', text: 'bridges: { br1: { uplinks: [vx0] } }', uplinks: physical },
    {
      name: 'are provided as ports',
      text: 'provide: { bridges: { br0: { ports: [veth0] } } }',
      uplinks: [...physical, 'veth0'],
    },
  ])('$name', async ({ text, uplinks }) => {
    const found = uplinksOf('br0', { config: await configOf(text), host: hostView(links) });
    expect(found.toSorted()).toEqual(uplinks.toSorted());
  });

  test('of one that is still to be provided are its ports', async () => {
    const config = await configOf('provide: { bridges: { br7: { ports: [veth0] } } }');
    expect(uplinksOf('br7', { config, host: hostView(links) })).toEqual(['veth0']);
  });

  test('a PF is looked for below uplinks only', async () => {
    const config = await configOf('');
    const host = hostView([
      link('br0', { isBridge: true, lowers: ['eno1', 'veth0'] }),
      link('eno1', { vfs: 2 }),
      other('veth0', { lowers: ['eno3'] }),
      link('eno3', { vfs: 2 }),
    ]);
    expect(pfsBelow('br0', { config, host })).toEqual([{ uplink: 'eno1', pf: 'eno1' }]);
  });
});

describe('what a link is by sysfs', () => {
  const sys = mkdtempSync(path.join(tmpdir(), 'actualnet-sys-'));
  afterAll(() => rmSync(sys, { recursive: true }));
  let index = 0;
  /** A link with these folders and files, plugged into `master`, above `lowers`. */
  function make(
    dev: string,
    {
      folders = [],
      files = {},
      master,
      lowers = [],
    }: {
      folders?: readonly string[];
      files?: Readonly<Record<string, string>>;
      master?: string;
      lowers?: readonly string[];
    },
  ): void {
    const directory = path.join(sys, 'class/net', dev);
    mkdirSync(directory, { recursive: true });
    const basics = { ifindex: `${++index}`, flags: '0x1003', mtu: '1500', address: '02:00:00:00:00:01' };
    for (const [name, content] of Object.entries({ ...basics, uevent: `INTERFACE=${dev}\n`, ...files }))
      writeFileSync(path.join(directory, name), content);
    for (const name of folders) mkdirSync(path.join(directory, name));
    if (master !== undefined) symlinkSync(`../${master}`, path.join(directory, 'master'));
    for (const lower of lowers) symlinkSync(`../${lower}`, path.join(directory, `lower_${lower}`));
  }
  const type = (name: string) => ({ uevent: `DEVTYPE=${name}\nINTERFACE=x\n` });

  test.each<{ name: string; make: Parameters<typeof make>[1]; kind: LinkState['kind'] }>([
    { name: 'a network card', make: { folders: ['device'] }, kind: 'physical' },
    { name: 'a wireless card', make: { folders: ['device'], files: type('wlan') }, kind: 'physical' },
    { name: 'the port of a switch', make: { folders: ['device'], files: { phys_port_name: 'p0' } }, kind: 'physical' },
    {
      name: 'the representor of a VF',
      make: { folders: ['device'], files: { phys_port_name: 'pf0vf3' } },
      kind: 'other',
    },
    {
      name: 'a representor on another host',
      make: { folders: ['device'], files: { phys_port_name: 'c1pf0sf2' } },
      kind: 'other',
    },
    { name: 'a bond', make: { folders: ['bonding'], files: type('bond'), lowers: ['p0'] }, kind: 'bond' },
    { name: 'a team', make: { lowers: ['p1'] }, kind: 'team' },
    { name: 'a VLAN device', make: { files: type('vlan'), lowers: ['p0'] }, kind: 'vlan' },
    { name: 'a veth', make: {}, kind: 'other' },
    { name: 'a vxlan', make: { files: type('vxlan'), lowers: ['p0'] }, kind: 'other' },
    { name: 'a macvlan', make: { files: type('macvlan'), lowers: ['p0'] }, kind: 'other' },
    { name: 'an ipvlan', make: { lowers: ['p0'] }, kind: 'other' },
    { name: 'a wireguard tunnel', make: { files: type('wireguard') }, kind: 'other' },
    { name: 'a tap', make: { files: { tun_flags: '0x1002' } }, kind: 'other' },
    { name: 'a bridge', make: { folders: ['bridge'], files: type('bridge'), lowers: ['p1'] }, kind: 'other' },
  ])('$name: $kind', ({ make: facts, kind }) => {
    const dev = `x${index}`;
    for (const [lower, master] of [
      ['p0', 'elsewhere'],
      ['p1', dev],
    ] as const) {
      rmSync(path.join(sys, 'class/net', lower), { recursive: true, force: true });
      make(lower, { master });
    }
    // Its parent is read as a PCI device where there is one.
    const { folders = [] } = facts;
    make(dev, { ...facts, folders: folders.filter(name => name !== 'device') });
    if (folders.includes('device'))
      symlinkSync('../../../devices/0000:3b:00.0', path.join(sys, 'class/net', dev, 'device'));
    mkdirSync(path.join(sys, 'devices/0000:3b:00.0'), { recursive: true });
    expect(readLink(sys, dev)?.kind).toBe(kind);
  });
});
