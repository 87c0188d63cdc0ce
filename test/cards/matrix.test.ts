import { afterAll, describe, expect, test } from 'vitest';
import { failing, KillSwitch, killable } from '../helpers/crash.ts';
import type { FakePf } from './fake-cards.ts';
import { CardLife } from './life.ts';
import { CardWorld } from './world.ts';

const card: FakePf = { dev: 'ens1f0', address: '0000:5e:00.0', driver: 'igb', vfDriver: 'igbvf', vfs: 4 };
const config = `hostdevs: { restore: true, bind: true }
interfaces:
  - match: { pf: ens1f0 }
    trust: true
    maxTxRate: 200
    vlanQos: 3
`;

interface Scene {
  readonly world: CardWorld;
  readonly life: CardLife;
  readonly before: readonly string[];
}

const operations = ['prepare', 'port-created', 'start', 'started', 'stopped', 'port-deleted', 'release'] as const;
const place = (operation: string) => (operations as readonly string[]).indexOf(operation);
const matrix: string[] = [];
afterAll(() =>
  console.log(
    ['| operation | points killed at | commands made to fail | leftovers |', '|---|---|---|---|', ...matrix].join('\n'),
  ),
);

/** Everything before `operation` has happened, libvirt's part before it included. */
async function upTo(operation: string): Promise<Scene> {
  const world = new CardWorld(config, [card]);
  world.cards.byHand('link set dev ens1f0 vf 0 mac 52:54:00:de:ad:01');
  world.cards.byHand('link set dev ens1f0 vf 0 vlan 99 qos 5');
  const before = world.cards.state();
  const life = new CardLife(world);
  await life.begin();
  await goOn({ world, life, before }, 'prepare', operation);
  life.steps[place(operation)]!.before?.();
  return { world, life, before };
}

/** The steps from one up to but without another. */
async function goOn({ world, life }: Scene, from: string, to?: string): Promise<void> {
  for (const { before, call } of life.steps.slice(place(from), to === undefined ? undefined : place(to))) {
    before?.();
    await call(world.context());
  }
}

describe('a process that is killed, a command that fails', () => {
  test.each(operations)('%s: the cards are as before or as wanted', { timeout: 300_000 }, async operation => {
    const step = ({ life }: Scene) => life.steps[place(operation)]!;
    const reference = await upTo(operation);
    const counter = new KillSwitch();
    await step(reference).call(killable(reference.world.context(), counter));
    const wanted = reference.world.cards.state();
    reference.world.destroy();

    for (let point = 1; point <= counter.points; point++) {
      for (const then of ['recover', 'next call'] as const) {
        const scene = await upTo(operation);
        const { world, life, before } = scene;
        const label = `${operation}, killed at ${point} of ${counter.points}, then ${then}`;
        await step(scene)
          .call(killable(world.context(), new KillSwitch(point)))
          .catch(() => {});
        if (then === 'recover') {
          life.giveBack();
          await world.recover();
          expect(world.cards.state(), label).toEqual(before);
          expect(await world.recover(), label).toEqual([]);
        } else {
          await step(scene).call(world.context());
          expect(world.cards.state(), label).toEqual(wanted);
          if (operation !== 'release') await goOn(scene, operations[place(operation) + 1]!);
          expect(world.cards.state(), label).toEqual(before);
        }
        expect(world.records(), label).toEqual([]);
        world.destroy();
      }
    }

    const whole = await upTo(operation);
    const counted = failing(whole.world.effects(), 0);
    await step(whole).call(whole.world.context(counted));
    whole.world.destroy();
    for (let command = 1; command <= counted.commands(); command++) {
      const scene = await upTo(operation);
      const { world, life, before } = scene;
      const label = `${operation}, command ${command} of ${counted.commands()} failing`;
      const untouched = world.cards.state();
      const answer = await step(scene).call(world.context(failing(world.effects(), command)));
      if (['prepare', 'port-created', 'start'].includes(operation)) {
        expect(answer, label).toMatchObject({ status: 1, stderr: expect.stringContaining('it was made to fail') });
        if (operation !== 'port-created') expect(world.cards.state(), label).toEqual(untouched);
      }
      life.giveBack();
      await goOn(scene, 'port-deleted');
      await world.recover();
      expect(world.cards.state(), label).toEqual(before);
      world.destroy();
    }
    matrix.push(`| ${operation} | ${counter.points} | ${counted.commands()} | 0 |`);
  });
});
