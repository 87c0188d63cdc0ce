import { afterEach, describe, expect, test } from 'vitest';
import { type PciAddress, pciAddressAttributes } from '../../src/model/pci-address.ts';
import { domainXml } from '../helpers/documents.ts';
import type { FakePf } from './fake-cards.ts';
import { CardWorld } from './world.ts';

const everything = `hostdevs: { restore: true, bind: true, refused: warn }
interfaces:
  - match: { pf: 'ens*' }
    trust: true
    spoofchk: false
    queryRss: true
    maxTxRate: 1000
    minTxRate: 100
    linkState: enable
    vlanQos: 5
    vlanProto: 802.1ad
`;
const base: FakePf = { dev: 'ens1f0', address: '0000:5e:00.0', driver: 'ice', vfDriver: 'iavf', vfs: 3 };
const mac = '52:54:00:00:00:01';

let world: CardWorld;
afterEach(() => world.destroy());

function source(address: string, type = ''): string {
  const words = Object.entries(pciAddressAttributes(address as PciAddress)).map(([key, value]) => `${key}='${value}'`);
  return `<source><address ${type}${words.join(' ')}/></source>`;
}

/** A guest with VF 0 as an interface in VLAN 42 and VF 1 as a host device that nobody binds. */
function guest(): string {
  const [first, second] = [0, 1].map(vf => world.cards.addressOf('ens1f0', vf));
  return domainXml(
    `<interface type='hostdev' managed='yes'><mac address='${mac}'/>${source(first!, "type='pci' ")}<vlan><tag id='42'/></vlan></interface>
     <hostdev mode='subsystem' type='pci' managed='no'>${source(second!)}</hostdev>`,
  );
}

describe('every command of a guest’s life, in order', () => {
  test.each<{ name: string; card: Partial<FakePf> }>([
    { name: 'a card that takes everything', card: {} },
    {
      name: 'a card without link state, 802.1ad and RSS queries',
      card: { driver: 'igb', vfDriver: 'igbvf', refuses: ['state', 'proto', 'query_rss'] },
    },
    { name: 'a card in switchdev mode', card: { driver: 'mlx5_core', vfDriver: 'mlx5_core', representors: true } },
    { name: 'a kernel with IOMMUFD', card: { iommufd: true } },
    { name: 'a card that does not tell of trust and spoof check', card: { silent: ['trust', 'spoofchk'] } },
  ])('$name', async ({ name, card }) => {
    world = new CardWorld(everything, [{ ...base, ...card }]);
    const { cards } = world;
    cards.byHand('link set dev ens1f0 vf 0 mac 52:54:00:de:ad:01');
    cards.byHand('link set dev ens1f0 vf 0 vlan 99 qos 3');
    const before = cards.state();
    const told: string[] = [];
    const call = async (operation: string) => {
      cards.commands.push(`# ${operation}`);
      const { status, stderr } = await world.qemu(operation, guest());
      told.push(...(status === 0 ? [] : [`# ${operation} refused: ${stderr.trim()}`]));
    };
    await call('prepare');
    const giveBack = cards.libvirtTakes('ens1f0', 0, { mac, vlan: 42 });
    for (const operation of ['start', 'started', 'stopped']) await call(operation);
    giveBack();
    await call('release');
    const log = world
      .log()
      .split('\n')
      .map(line => line.replace(/^\S+ /, '# '))
      .filter(line => line !== '');
    await expect(`${[...cards.commands, ...told, ...log].join('\n')}\n`).toMatchFileSnapshot(
      `golden/${name.replaceAll(/[^A-Za-z0-9]+/g, '-')}.txt`,
    );
    // What a driver does not tell cannot be put back, and is said.
    const untold =
      card.silent === undefined
        ? before
        : before.map(line =>
            line.replace('"spoofchk":true', '"spoofchk":false').replace('"trust":false', '"trust":true'),
          );
    expect(cards.state().slice(0, 2)).toEqual(untold.slice(0, 2));
    expect(await world.recover()).toEqual([]);
  });
});
