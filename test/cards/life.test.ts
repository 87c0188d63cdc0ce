import { afterEach, describe, expect, test } from 'vitest';
import type { FakePf } from './fake-cards.ts';
import { CardLife, guestMac } from './life.ts';
import { CardWorld } from './world.ts';

const igb: FakePf = { dev: 'ens1f0', address: '0000:5e:00.0', driver: 'igb', vfDriver: 'igbvf', vfs: 4 };
const restoring = 'hostdevs: { restore: true, bind: true }\n';
const asking = `${restoring}interfaces:
  - match: { pf: ens1f0 }
    trust: true
    spoofchk: false
    maxTxRate: 200
    linkState: enable
    vlanQos: 3
`;

let world: CardWorld;
afterEach(() => world.destroy());

/** What the VFs are before the guest: one as somebody left it, one as it is after boot. */
function dirty(): void {
  world.cards.byHand('link set dev ens1f0 vf 0 mac 52:54:00:de:ad:01');
  world.cards.byHand('link set dev ens1f0 vf 0 vlan 99 qos 5');
  world.cards.byHand('link set dev ens1f0 vf 0 trust on');
  world.cards.byHand('link set dev ens1f0 vf 3 vlan 7 qos 2 proto 802.1ad');
}

async function live(config: string, until = 'release'): Promise<CardLife> {
  world = new CardWorld(config, [igb]);
  dirty();
  const life = new CardLife(world);
  await life.begin();
  await goOn(life, until);
  return life;
}

async function goOn(life: CardLife, until = 'release', from = 'prepare'): Promise<void> {
  const place = (operation: string) => life.steps.findIndex(step => step.operation === operation);
  for (const { before, call } of life.steps.slice(place(from), place(until) + 1)) {
    before?.();
    expect(await call(world.context())).toEqual({ status: 0, stdout: '', stderr: '' });
  }
}

function untouched(): string[] {
  world = new CardWorld('', [igb]);
  dirty();
  const state = world.cards.state();
  world.destroy();
  return state;
}

describe('a guest with four kinds of VFs', () => {
  test('libvirt alone does not leave them as they were', async () => {
    await live('hostdevs: { bind: true }');
    expect(world.cards.state()).not.toEqual(untouched());
    expect(world.cards.commands.filter(line => line.includes(' vf '))).toEqual([]);
  });

  test.each([
    { name: 'nothing but their return asked', config: restoring },
    { name: 'settings asked', config: asking },
  ])('leaves them as they were, with $name', async ({ config }) => {
    await live(config);
    expect(world.cards.state()).toEqual(untouched());
    expect(world.records()).toEqual([]);
    expect(world.log()).not.toMatch(/warn/i);
  });

  test('has what is asked while it runs', async () => {
    await live(asking, 'started');
    const expected = { trust: true, spoofchk: false, maxTx: 200, minTx: 0, state: 'enable' };
    for (const number of [0, 1, 2, 3]) expect(world.cards.vf('ens1f0', number)).toMatchObject(expected);
    expect(world.cards.vf('ens1f0', 0)).toMatchObject({ mac: guestMac(1), vlan: 42, qos: 3 });
    expect(world.cards.vf('ens1f0', 1)).toMatchObject({ mac: guestMac(2), vlan: 0, qos: 0 });
    expect(world.cards.driverOf(world.cards.addressOf('ens1f0', 2))).toBe('vfio-pci');
  });
});
