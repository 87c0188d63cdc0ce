import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, describe, expect, test } from 'vitest';
import { poolCommand } from '../../src/cli/pool.ts';
import { domain } from '../helpers/documents.ts';
import { projectDirectory } from '../helpers/host.ts';
import { CardLife } from './life.ts';
import { CardWorld } from './world.ts';

let world: CardWorld;
afterEach(() => world.destroy());

async function pool(format: 'table' | 'json', running: readonly ReturnType<typeof domain>[] = []): Promise<string> {
  const written: string[] = [];
  const io = { write: (text: string) => void written.push(text) } as never;
  const { memory, effects } = world.context();
  const files = { running: () => running, ports: () => [], keptByLibvirt: () => ['ens1f0_vf0'] };
  await poolCommand({ format, memory, effects, ...files }, io);
  return written.join('');
}

async function running(): Promise<void> {
  world = new CardWorld(
    'hostdevs: { restore: true, bind: true }\ninterfaces: [{ match: { pf: ens1f0 }, trust: true }]\n',
    [
      { dev: 'ens1f0', address: '0000:5e:00.0', driver: 'igb', vfDriver: 'igbvf', vfs: 4, numaNode: 1 },
      { dev: 'ens2f0', address: '0000:af:00.0', driver: 'ice', vfDriver: 'iavf', vfs: 0 },
    ],
  );
  const life = new CardLife(world);
  await life.begin();
  for (const { operation, before, call } of life.steps) {
    before?.();
    await call(world.context());
    if (operation === 'started') return;
  }
}

describe('status --pool', () => {
  test('shows every VF, how it is set, and who has it', async () => {
    await running();
    const other = domain(
      `<hostdev mode='subsystem' type='pci'><source><address bus='0x5e' slot='0x01' function='0x2'/></source></hostdev>`,
    );
    world.cards.hold(4711, `/dev/vfio/${world.cards.groupOf(world.cards.addressOf('ens1f0', 1))}`, 'g1');
    expect(await pool('table', [other])).toMatchInlineSnapshot(`
      "PF      VF  ADDRESS       LINK      DRIVER    GROUP  NUMA  MAC                VLAN  SETTINGS  USED BY
      ens1f0  0   0000:5e:01.0  -         vfio-pci  102    1     52:54:00:00:00:01  42    trusted   guest 'g1', libvirt
              1   0000:5e:01.1  -         vfio-pci  105    1     52:54:00:00:00:02  none  trusted   guest 'g1' (process 4711), guest 'g1'
              2   0000:5e:01.2  -         vfio-pci  108    1     00:00:00:00:00:00  none  trusted   guest 'g1'
              3   0000:5e:01.3  ens1f0v3  igbvf     111    1     52:54:00:00:00:04  none  trusted   guest 'g1'
      ens2f0  -   -             -         -         -      -     -                  -     -         -
      "
    `);
  });

  test('as JSON, by its schema', async () => {
    await running();
    const shown = JSON.parse(await pool('json'));
    const schema = JSON.parse(readFileSync(path.join(projectDirectory, 'schemas/pool.schema.json'), 'utf8'));
    const ajv = new Ajv2020();
    expect(ajv.validate(schema, shown), ajv.errorsText()).toBe(true);
    expect(shown.pfs[0].vfs[0]).toEqual({
      vf: 0,
      address: '0000:5e:01.0',
      netdev: null,
      driver: 'vfio-pci',
      group: expect.any(Number),
      numaNode: 1,
      settings: {
        mac: '52:54:00:00:00:01',
        vlan: '42',
        trust: true,
        spoofchk: true,
        query_rss: false,
        rate: 'max 0 min 0',
        state: 'auto',
      },
      usedBy: [
        { who: "guest 'g1'", by: 'our record (started)' },
        { who: 'libvirt', by: 'the state it has put aside' },
      ],
      kept: {
        mac: '00:00:00:00:00:00',
        vlan: 'none',
        trust: false,
        spoofchk: true,
        query_rss: false,
        rate: 'max 0 min 0',
        state: 'auto',
      },
    });
  });

  test('says so where there is none, and what could not be read', async () => {
    world = new CardWorld('', []);
    expect(await pool('table')).toBe('no device here can have VFs\n');
    world.destroy();
    await running();
    world.cards.programs.readBatch = () => Promise.reject(new Error('no ip here'));
    expect(await pool('table')).toMatch(/problem: .*no ip here\n$/);
  });
});
