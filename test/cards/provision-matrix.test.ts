import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { HookContext } from '../../src/hook/context.ts';
import type { PciCommand } from '../../src/kernel/kind.ts';
import { commandFor } from '../../src/kernel/registry.ts';
import { failing, KillSwitch, killable } from '../helpers/crash.ts';
import { CardWorld } from './world.ts';

const config = 'provide: { vfs: { ens1f0: { count: 4, unmanaged: true } } }\n';
const network = `<hookData><network><name>vfs</name><forward mode='hostdev'><pf dev='ens1f0'/></forward></network></hookData>`;
const card = { dev: 'ens1f0', address: '0000:5e:00.0', driver: 'igb', vfDriver: 'igbvf' };

/** How many VFs there are, whether network managers leave them alone, and whether their PF is up. */
function stateOf(world: CardWorld): string {
  const at = (...parts: string[]) => path.join(world.root, ...parts);
  const rule = existsSync(at('run/udev/rules.d/85-actualnet-ens1f0.rules')) ? 'unmanaged' : 'managed';
  const flags = Number(readFileSync(at('sys/class/net/ens1f0/flags'), 'utf8'));
  return `${world.cards.state().length} VFs, ${rule}, PF ${flags & 1 ? 'up' : 'down'}`;
}

/** A card whose PF is down, with some VFs; the network has been started if it is to be stopped. */
async function upTo(operation: string, vfs: number): Promise<{ world: CardWorld; before: string }> {
  const world = new CardWorld(config, [{ ...card, vfs }]);
  world.cards.byHand('link set dev ens1f0 down');
  const before = stateOf(world);
  if (operation === 'stopped') {
    await world.network('vfs', 'start', network);
    await world.network('vfs', 'started', network);
  }
  return { world, before };
}

describe('VFs that are made and removed with a network', () => {
  test('one that is cut off between none and the new number brings back those that were there', async () => {
    const { world, before } = await upTo('start', 2);
    const { programs } = world.cards;
    const own = programs.runPciCommands;
    programs.runPciCommands = async (paths, commands, options) => {
      if (!commands.some(({ line }) => line === 'numvfs ens1f0 4')) return own(paths, commands, options);
      const none = commandFor({ subject: { kind: 'vfs', dev: 'ens1f0' }, to: 0 }) as PciCommand;
      await own(paths, [...commands.slice(0, -1), none], options);
      throw new Error('cut off');
    };
    expect((await world.network('vfs', 'start', network)).status).toBe(1);
    expect(stateOf(world)).toBe(before);
    world.destroy();
  });

  test.each([
    { operation: 'start', vfs: 0 },
    { operation: 'start', vfs: 2 },
    { operation: 'stopped', vfs: 0 },
    { operation: 'stopped', vfs: 2 },
  ])('$operation with $vfs there before, killed at every point, each command failing', async ({ operation, vfs }) => {
    const call = (world: CardWorld, context: HookContext) => world.network('vfs', operation, network, context);
    const reference = await upTo(operation, vfs);
    const counter = new KillSwitch();
    await call(reference.world, killable(reference.world.context(), counter));
    const wanted = stateOf(reference.world);
    reference.world.destroy();
    expect(wanted).toBe(operation === 'start' ? '4 VFs, unmanaged, PF up' : reference.before);

    for (let point = 1; point <= counter.points; point++) {
      for (const then of ['recover', 'next call'] as const) {
        const { world, before } = await upTo(operation, vfs);
        const label = `killed at ${point} of ${counter.points}, then ${then}`;
        await call(world, killable(world.context(), new KillSwitch(point))).catch(() => {});
        if (then === 'recover') world.context().memory.forgetNetwork('vfs');
        else {
          await call(world, world.context());
          expect(stateOf(world), label).toBe(wanted);
          await world.network('vfs', 'stopped', network);
        }
        await world.recover();
        expect(stateOf(world), label).toBe(before);
        expect(await world.recover(), label).toEqual([]);
        world.destroy();
      }
    }

    const whole = await upTo(operation, vfs);
    const counted = failing(whole.world.effects(), 0);
    await call(whole.world, whole.world.context(counted));
    whole.world.destroy();
    for (let command = 1; command <= counted.commands(); command++) {
      const { world, before } = await upTo(operation, vfs);
      await call(world, world.context(failing(world.effects(), command)));
      world.context().memory.forgetNetwork('vfs');
      await world.recover();
      expect(stateOf(world), `command ${command} of ${counted.commands()} failing`).toBe(before);
      world.destroy();
    }
  });
});
