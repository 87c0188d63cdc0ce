import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa, execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runHook } from '../../src/hook/dispatch.ts';
import { projectDirectory } from '../helpers/host.ts';
import { guest, macvtap, makeHost, plainBridge, unmanagedTap } from './guests.ts';
import { hostState, inNamespace, lineOf, World } from './world.ts';

const config = `
bridges:
  br0: { keepForwardingTable: true }
taps: { create: true }
macvtap: { manage: true }
provide: { bridges: { br7: { ports: [up1] } } }
interfaces:
  - match: { tap: 't*' }
    bridge: br7
    keepForwardingTable: true
`;
let world: World;
let tools: string;

/**
 * The built hooks, with `ip` and `bridge` that note each of their runs, and wait where a guest is to be slow. Nothing of the
 * environment reaches them: they know by their parent's words for whom they are run.
 */
beforeEach(() => {
  if (!inNamespace) return;
  world = new World(config);
  symlinkSync('/sys', path.join(world.root, 'sys'));
  makeHost('up1');
  tools = path.join(world.root, 'bin');
  mkdirSync(tools);
  for (const tool of ['ip', 'bridge']) {
    const real = execaSync('sh', ['-c', `command -v ${tool}`]).stdout;
    const note = `set -- $(tr '\\0' ' ' </proc/$PPID/cmdline); echo ${tool} >>'${world.root}'/"$4-$5.runs"`;
    const wait = `[ ! -e '${world.root}'/"$4.slow" ] || sleep 3`;
    writeFileSync(path.join(tools, tool), `#!/bin/sh\nnote() { ${note}; ${wait}; }\nnote\nexec ${real} "$@"\n`);
    chmodSync(path.join(tools, tool), 0o755);
  }
});
afterEach(() => world?.destroy());

async function call(name: string, operation: string, xml: string) {
  const runs = path.join(world.root, `${name}-${operation}.runs`);
  const env = { LC_ALL: 'C', PATH: `${tools}:${process.env.PATH}`, ACTUALNET_ROOT: world.root };
  const words = [name, operation, 'begin', '-'];
  const { exitCode, stderr } = await execa(path.join(projectDirectory, 'hooks/qemu'), words, {
    input: xml,
    env,
    extendEnv: false,
    cwd: '/',
    reject: false,
  });
  expect({ exitCode, stderr }, `${name} ${operation}`).toEqual({ exitCode: 0, stderr: '' });
  return existsSync(runs) ? readFileSync(runs, 'utf8').trim().split('\n').length : 0;
}

const hex = (number: number) => number.toString(16).padStart(2, '0');
/** The last two bytes of a MAC. */
const bytes = (number: number) => `${hex(number >> 8)}:${hex(number & 255)}`;

/** The `number`th guest: a tap of its own on the provided bridge, a port on br0, and a macvtap on one of two devices. */
function numbered(number: number) {
  const connections = [
    unmanagedTap(`52:54:00:01:${bytes(number)}`, `t${number}`),
    plainBridge(`52:54:00:02:${bytes(number)}`, 'br0', `vnet${number}`),
    macvtap(`52:54:00:03:${bytes(number)}`, number % 2 === 0 ? 'eth7' : 'eth8', 'vepa', `mv${number}`),
  ];
  const document = (form: 'prepare' | 'start') =>
    guest(connections, form)
      .replace('0000000000aa', `00000001${number.toString(16).padStart(4, '0')}`)
      .replace('>g1<', `>g${number}<`);
  return { name: `g${number}`, connections, prepare: document('prepare'), start: document('start') };
}

type Guest = ReturnType<typeof numbered>;

/** All of them start at once, each in its own time. */
async function startAll(guests: readonly Guest[]): Promise<void> {
  await Promise.all(
    guests.map(async ({ name, connections, prepare, start }) => {
      await call(name, 'prepare', prepare);
      for (const { make } of connections) make?.();
      await call(name, 'start', start);
      for (const { open } of connections) open?.();
      await call(name, 'started', start);
    }),
  );
  const entries = hostState().filter(line => line.startsWith('52:54:00:0') && line.includes(' static '));
  expect(entries).toHaveLength(2 * guests.length);
}

describe.skipIf(!inNamespace)('many guests', () => {
  test('64 at once on one bridge, one provided bridge and two lower devices: every entry is there, and none is left', async () => {
    const before = hostState();
    const guests = Array.from({ length: 64 }, (_, index) => numbered(index));
    await startAll(guests);
    await Promise.all(
      guests.map(async ({ name, connections, prepare }) => {
        for (const { vanish } of connections) vanish?.();
        await call(name, 'stopped', prepare);
        for (const { remove } of connections) remove?.();
        await call(name, 'release', prepare);
      }),
    );
    expect(hostState()).toEqual(before);
    expect(world.records()).toEqual([]);
    expect(await world.recover()).toEqual([]);
  });

  // Minutes of processor time, of which nothing else is to be seen: in the full form only.
  const many = { timeout: 1_800_000, skip: process.env.ACTUALNET_MATRIX !== 'full' };
  test('500 at once: none is refused, and recovering takes back what all of them have left', many, async () => {
    const before = hostState();
    const guests = Array.from({ length: 500 }, (_, index) => numbered(index));
    await startAll(guests);
    for (const { connections } of guests) for (const { vanish, remove } of connections) (vanish ?? remove)?.();
    expect(await world.recover()).not.toEqual([]);
    expect(hostState()).toEqual(before);
    expect(world.records()).toEqual([]);
    expect(await world.recover()).toEqual([]);
  });

  test('a slow one does not hold up the others', async () => {
    const [first, slow, ...others] = Array.from({ length: 6 }, (_, index) => numbered(index));
    await call(first!.name, 'prepare', first!.prepare);
    writeFileSync(path.join(world.root, `${slow!.name}.slow`), '');
    const order: string[] = [];
    await Promise.all([
      call(slow!.name, 'prepare', slow!.prepare).then(() => order.push('slow')),
      ...others.map(other => call(other.name, 'prepare', other.prepare).then(() => order.push('other'))),
    ]);
    expect(order).toEqual(['other', 'other', 'other', 'other', 'slow']);
  });
});

describe.skipIf(!inNamespace)('what two guests share', () => {
  const prepare = ({ name, prepare: xml }: Guest, effects = world.effects()) =>
    runHook(
      {
        driver: 'qemu',
        object: name,
        operation: 'prepare',
        subOperation: 'begin',
        extra: '-',
        readStdin: () => Buffer.from(xml),
      },
      world.context(effects),
    );

  test('is not waited for while one of them acts for itself, and is not taken from the other when the first fails', async () => {
    const [first, second] = [numbered(1), numbered(2)];
    const before = hostState();
    const effects = world.effects();
    const answers: unknown[] = [];
    const failing = {
      ...effects,
      async run(...[commands, options]: Parameters<typeof effects.run>) {
        if (!commands.some(({ line }) => line.includes(' t1 '))) return effects.run(commands, options);
        answers.push(await prepare(second));
        return [{ place: 0, message: 'it was made to fail' }];
      },
    };
    answers.push(await prepare(first, failing));
    expect(answers).toMatchObject([{ status: 0 }, { status: 1, stderr: expect.stringContaining('made to fail') }]);
    expect(lineOf('t2')).toContain(' in br7 ');
    expect(lineOf('t1')).toBeUndefined();
    for (const { name, prepare: xml } of [first, second]) await call(name, 'release', xml);
    expect(hostState()).toEqual(before);
  });
});

describe.skipIf(!inNamespace)('one guest with many interfaces', () => {
  test.each([1, 200])('%i taps and ports need at most three processes a call', async count => {
    const connections = Array.from({ length: count }, (_, index) => [
      unmanagedTap(`52:54:00:01:00:${hex(index)}`, `t${index}`),
      plainBridge(`52:54:00:02:00:${hex(index)}`, 'br0', `vnet${index}`),
    ]).flat();
    const before = hostState();
    const [prepare, start] = [guest(connections, 'prepare'), guest(connections, 'start')];
    const runs = [await call('g1', 'prepare', prepare)];
    for (const { make } of connections) make?.();
    runs.push(await call('g1', 'start', start), await call('g1', 'started', start));
    expect(hostState().filter(line => line.startsWith('52:54:00:0'))).toHaveLength(2 * count);
    for (const { vanish } of connections) vanish?.();
    runs.push(await call('g1', 'stopped', prepare), await call('g1', 'release', prepare));
    expect(hostState()).toEqual(before);
    expect(Math.max(...runs), `processes for each call: ${runs.join(', ')}`).toBeLessThanOrEqual(3);
    expect(runs[0]).toBeGreaterThan(0);
  });
});

describe.skipIf(!inNamespace)('a real SIGKILL', () => {
  test.each([0, 3, 7])(
    'between the commands of prepare, after %i of them, leaves nothing that recover does not undo',
    async done => {
      const real = execaSync('sh', ['-c', 'command -v ip']).stdout;
      const batch = path.join(world.root, 'batch');
      const script = `#!/bin/sh\nhead -n ${done} >'${batch}'\n${real} -batch '${batch}'\nkill -9 $PPID\nsleep 1\n`;
      writeFileSync(path.join(tools, 'ip'), script);
      const before = hostState();
      const { name, prepare } = numbered(1);
      const env = {
        LC_ALL: 'C',
        PATH: `${tools}:${process.env.PATH}`,
        ACTUALNET_ROOT: world.root,
      };
      const hook = path.join(projectDirectory, 'hooks/qemu');
      const { exitCode } = await execa(hook, [name, 'prepare', 'begin', '-'], {
        input: prepare,
        env,
        extendEnv: false,
        reject: false,
      });
      expect(exitCode).toBe(1);
      if (done > 0) expect(hostState()).not.toEqual(before);
      await world.recover();
      expect(hostState()).toEqual(before);
      expect(await world.recover()).toEqual([]);
    },
  );
});
