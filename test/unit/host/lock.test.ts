import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildSync } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { takeLocks } from '../../../src/host/process/lock.ts';
import { Patience } from '../../../src/host/process/patience.ts';
import { projectDirectory } from '../../helpers/host.ts';

let bundle: string;
beforeAll(() => {
  bundle = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'actualnet-bundle-')), 'lock.cjs');
  buildSync({
    entryPoints: [path.join(projectDirectory, 'src/host/process/lock.ts')],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    external: ['fs-native-extensions'],
    supported: { 'dynamic-import': false },
  });
});
afterAll(() => fs.rmSync(path.dirname(bundle), { recursive: true }));

let directory: string;
let others: ChildProcess[];
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'actualnet-lock-'));
  others = [];
});
afterEach(() => {
  for (const child of others) child.kill('SIGKILL');
  fs.rmSync(directory, { recursive: true });
});

/** How many tickets of a name have been taken since its queue was last empty. */
function taken(name: string): number {
  const file = path.join(directory, name);
  if (!fs.existsSync(file)) return 0;
  return Math.max(0, Buffer.concat([fs.readFileSync(file), Buffer.alloc(6)]).readUIntLE(0, 6) - 1);
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5);
}

/** Another process in the queue: notes its label in `order` when its turn comes, which lasts until it is told to let go. */
async function another(name: string, order: string[] = [], label = '') {
  const before = taken(name);
  const program = `
    require(${JSON.stringify(bundle)}).takeLocks(${JSON.stringify(directory)}, [${JSON.stringify(name)}]).then(release => {
      console.log('mine');
      process.stdin.on('end', () => { release(); process.exit(); }).resume();
    })`;
  const env = { ...process.env, NODE_PATH: path.join(projectDirectory, 'node_modules') };
  const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'], env });
  others.push(child);
  const turn = new Promise<void>(resolve => {
    child.stdout.once('data', () => {
      order.push(label);
      resolve();
    });
  });
  await until(() => taken(name) > before);
  return { child, turn, letGo: () => child.stdin.end() };
}

describe('a queue', () => {
  test('is served in its order, and gone when it is empty', async () => {
    const order: string[] = [];
    const first = await another('br0', order, '1');
    await first.turn;
    const behind = [];
    for (const label of ['2', '3', '4', '5']) behind.push(await another('br0', order, label));
    first.letGo();
    for (const { turn, letGo } of behind) {
      await turn;
      letGo();
    }
    expect(order).toEqual(['1', '2', '3', '4', '5']);
    await until(() => fs.readdirSync(directory).length === 0);
  });

  test.each([
    ['whoever has it', 0, ['1', '2', '3']],
    ['one who waits', 1, ['1', '3']],
  ] as const)('goes on when %s is killed', async (_, place, expected) => {
    const order: string[] = [];
    const queue = [await another('br0', order, '1')];
    await queue[0]!.turn;
    for (const label of ['2', '3']) queue.push(await another('br0', order, label));
    queue[place]!.child.kill('SIGKILL');
    for (const each of queue.filter((_, index) => index !== place)) {
      await each.turn;
      each.letGo();
    }
    expect(order).toEqual(expected);
    // What a killed one left is taken up, and away, by the next.
    (await takeLocks(directory, ['br0']))();
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test('that does not move is given up, and does not wait for whoever gave up', async () => {
    const stuck = await another('br0');
    await stuck.turn;
    stuck.child.kill('SIGSTOP');
    const impatient = takeLocks(directory, ['br0'], new Patience(0));
    await expect(impatient).rejects.toMatchObject({
      code: 'LOCKED',
      message: /^waited 1(\.\d)? s for whoever has 'br0', who does not go on$/,
    });
    const patient = takeLocks(directory, ['br0']);
    stuck.child.kill('SIGKILL');
    (await patient)();
  });

  test('however long, is waited in as long as it moves', async () => {
    const order: number[] = [];
    const first = await takeLocks(directory, ['br0']);
    const queue: Promise<void>[] = [];
    // Together they have it for longer than anybody here is ready to wait for one that does not move.
    const wait = async (place: number) => {
      const release = await takeLocks(directory, ['br0'], new Patience(0));
      order.push(place);
      await sleep(100);
      release();
    };
    for (let place = 0; place < 16; place++) {
      queue.push(wait(place));
      await until(() => taken('br0') >= place + 2);
    }
    first();
    await Promise.all(queue);
    expect(order).toEqual(Array.from({ length: 16 }, (_, place) => place));
  });
});

describe('one process', () => {
  test('that waits in many queues at once still reads files', async () => {
    const names = Array.from({ length: 8 }, (_, place) => `br${place}`);
    const holder = await takeLocks(directory, names);
    const waiting = names.map(async name => (await takeLocks(directory, [name]))());
    expect((await fs.promises.readFile(bundle)).length).toBeGreaterThan(0);
    holder();
    await Promise.all(waiting);
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test('is given one name once, and many in one order whatever their order was', async () => {
    let most = 0;
    let now = 0;
    const names = [['a', 'b', 'a'], ['b', 'a'], ['c', 'b'], ['b']];
    await Promise.all(
      Array.from({ length: 40 }, async (_, place) => {
        const release = await takeLocks(directory, names[place % names.length]!);
        most = Math.max(most, ++now);
        await sleep(1);
        now--;
        release();
      }),
    );
    expect(most).toBe(1);
    expect(fs.readdirSync(directory)).toEqual([]);
  });
});

describe("a lock's file", () => {
  test.each<[string, (file: string) => void]>([
    ['a pipe', file => execFileSync('mkfifo', [file])],
    ['a directory', file => fs.mkdirSync(file)],
    ['a link', file => fs.symlinkSync('/dev/null', file)],
    ['a link to nothing', file => fs.symlinkSync(path.join(directory, 'nothing'), file)],
  ])('that is %s is named, and holds nothing else', async (_, make) => {
    const file = path.join(directory, 'br1');
    make(file);
    const refused = { code: 'FILE', message: expect.stringContaining(`'${file}'`) };
    await expect(takeLocks(directory, ['br0', 'br1', 'br2'])).rejects.toMatchObject(refused);
    (await takeLocks(directory, ['br0', 'br2'], new Patience(0)))();
    expect(fs.readdirSync(directory)).toEqual(['br1']);
  });

  test.each([
    ['nothing but ones', Buffer.alloc(32, 0xff)],
    ['text', Buffer.from('somebody has written this here\n')],
    ['a piece of a number', Buffer.from([0xff, 0xff])],
    ['the largest number', Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
  ])('that holds %s is a queue all the same', async (_, content) => {
    fs.writeFileSync(path.join(directory, 'br0'), content);
    const first = await takeLocks(directory, ['br0'], new Patience(0));
    const second = takeLocks(directory, ['br0']);
    first();
    (await second)();
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test.each([1, 2])('that cannot be written (the time %i) is not held by whoever failed', async time => {
    const { writeSync } = fs;
    const failing = vi.spyOn(fs, 'writeSync');
    for (let before = 1; before < time; before++) failing.mockImplementationOnce(writeSync as never);
    failing.mockImplementationOnce(() => {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    });
    await expect(takeLocks(directory, ['br0'])).rejects.toThrow('no space left');
    failing.mockRestore();
    (await takeLocks(directory, ['br0'], new Patience(0)))();
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test('that cannot be removed keeps nobody from giving back the others', async () => {
    const release = await takeLocks(directory, ['br0', 'br1']);
    const failing = vi.spyOn(fs, 'unlinkSync').mockImplementation(() => {
      throw new Error('EROFS');
    });
    release();
    failing.mockRestore();
    (await takeLocks(directory, ['br0', 'br1'], new Patience(0)))();
  });
});
