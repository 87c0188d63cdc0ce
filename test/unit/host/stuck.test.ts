import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { batchesIn } from '../../../src/host/kernel/batches.ts';
import { listenToEvents } from '../../../src/host/libvirt/events.ts';
import { hostPaths } from '../../../src/host/paths.ts';
import { runBounded, startBounded } from '../../../src/host/process/bounded.ts';
import { takeLocks } from '../../../src/host/process/lock.ts';
import { keepPrestarted } from '../../../src/host/process/prestarted.ts';
import { tryBeginHotplug } from '../../../src/host/state/hotplugs.ts';
import type { Uuid } from '../../../src/model/values.ts';
import { endProcessesOf } from '../../helpers/processes.ts';

const limitMs = 300;
/** Far more than the limits that are tested, far less than the programs take. */
const soonMs = 60_000;
const path0 = process.env.PATH;
let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'actualnet-stuck-'));
});
afterEach(() => {
  process.env.PATH = path0;
  endProcessesOf(root);
  rmSync(root, { recursive: true, force: true });
});

/** Programs whose end cannot be awaited, each in another way. What they hold open ends with the test. */
const stuck: Record<string, string> = {
  'stands still': 'kill -STOP $$; sleep 300',
  'waits for a FIFO that nobody opens': `mkfifo "$0.fifo"; exec cat "$0.fifo"`,
  'has left somebody behind that keeps its streams': 'sleep 300 & exit 0',
  'is deaf to all signals but one, and so is its child': "trap '' TERM HUP INT; sleep 300 & sleep 300",
};

/** A program of that name, before all others. */
function put(name: string, script: string): string {
  const file = path.join(root, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env.PATH = `${root}:${path0}`;
  return file;
}

const elapsed = async (act: () => Promise<unknown>) => {
  const beganMs = performance.now();
  await act();
  return performance.now() - beganMs;
};

describe.each(Object.entries(stuck))('a process that %s', (_, script) => {
  test('is timedOut within its bound', async () => {
    const file = put('tool', script);
    expect(await elapsed(() => runBounded(file, [], { limitMs }))).toBeLessThan(soonMs);
    expect(await runBounded(file, [], { limitMs })).toMatchObject({ timedOut: true, status: null });
  });

  test('as a tool of a plan ends in an error, at once when it is timedOut before', async () => {
    put('bridge', script);
    const hasty = batchesIn((tool, words) => {
      const child = startBounded(tool, words, { detached: false });
      setTimeout(child.giveUp, limitMs);
      return child;
    });
    const said = "'bridge' did not end, and was left to itself";
    await expect(hasty.readBatch('bridge', ['fdb show', 'vlan show'])).rejects.toThrow(said);
    await expect(hasty.runBatch('bridge', ['a', 'b'], { keepGoing: true })).rejects.toThrow(said);
  });

  test('as a source of events does not keep us from stopping', async () => {
    put('virsh', script);
    const controller = new AbortController();
    const started = new Promise<void>(resolve => {
      void (async () => {
        await elapsed(() =>
          listenToEvents({
            onLine: () => {},
            onStart: () => setTimeout(() => controller.abort(), limitMs),
            onEnd: () => {},
            signal: controller.signal,
          }),
        );
        resolve();
      })();
    });
    expect(await elapsed(() => started)).toBeLessThan(soonMs);
  });

  test('as a spare is passed by or timedOut, and does not keep us from ending', () => {
    put('bridge', script);
    put('ip', script);
    const prestarted = keepPrestarted();
    const child = prestarted.start('bridge', ['-force', '-batch', '-']);
    child.giveUp();
    prestarted.end();
    expect(child.isRunning()).toBe(false);
  });
});

describe('an timedOut process', () => {
  test('holds no lock and no file of ours', async () => {
    const paths = hostPaths(root);
    const letGo = await takeLocks(path.join(paths.state, 'locks'), ['g1', 'br0']);
    const guest = '0b0e1f52-0000-4000-8000-0000000000aa' as Uuid;
    const hotplug = (await tryBeginHotplug(paths, guest))!;
    const pidFile = path.join(root, 'pid');
    const file = put('tool', `sleep 300 & echo $! >${pidFile}.new; mv ${pidFile}.new ${pidFile}; wait`);
    const child = startBounded(file, []);
    while (!existsSync(pidFile)) await sleep(10);
    const [pid] = (await runBounded('cat', [pidFile], { limitMs: soonMs })).stdout.trim().split('\n');
    child.giveUp();
    expect((await child.ended).timedOut).toBe(true);
    const open = readdirSync(`/proc/${pid}/fd`).map(fd => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(open.filter(name => name.startsWith(root))).toEqual([]);
    letGo();
    hotplug.end(false);
    // Others get both at once.
    (await takeLocks(path.join(paths.state, 'locks'), ['g1', 'br0']))();
    const again = await tryBeginHotplug(paths, guest);
    expect(again).toBeDefined();
    again!.end(true);
    process.kill(Number(pid), 'SIGKILL');
  });

  test('has what it was given to inherit, for as long as it lives', async () => {
    const paths = hostPaths(root);
    const guest = '0b0e1f52-0000-4000-8000-0000000000aa' as Uuid;
    const hotplug = (await tryBeginHotplug(paths, guest))!;
    const child = startBounded('sleep', ['300'], { inherited: [hotplug.fd] });
    closeSync(hotplug.fd);
    expect(await tryBeginHotplug(paths, guest)).toBeUndefined();
    child.giveUp();
    await expect
      .poll(async () => (await tryBeginHotplug(paths, guest))?.end(true) ?? 'free', { timeout: soonMs })
      .toBe('free');
  });

  test.each([
    ['that is not there', 'no-such-program', ['x'], /ENOENT/],
    ['that may not be run', '/etc/passwd', ['x'], /EACCES/],
    ['with more words than the kernel takes', 'true', Array<string>(3000).fill('x'.repeat(1000)), /E2BIG/],
    ['with a word that cannot be one', 'true', ['\0'], /null bytes/],
  ])('one %s is told, not thrown', async (_, file, words, complaint) => {
    const ended = await runBounded(file, words, { limitMs: soonMs });
    expect(ended).toMatchObject({ timedOut: false, status: null, complaint: expect.stringMatching(complaint) });
  });

  test('that prints without end is ended', async () => {
    const ended = await runBounded('yes', ['x'.repeat(1000)], { limitMs: soonMs });
    expect(ended).toMatchObject({
      timedOut: false,
      status: null,
      complaint: expect.stringContaining('it printed more'),
    });
  });
});

/** A cgroup of version 1 whose processes not even SIGKILL reaches, as if the kernel kept them. */
const freezer = '/sys/fs/cgroup/freezer';
const canFreeze = process.getuid?.() === 0 && existsSync(path.join(freezer, 'tasks'));

test.skipIf(!canFreeze)(
  'a process that not even SIGKILL reaches is left to itself (needs a freezer cgroup of version 1)',
  async () => {
    const group = path.join(freezer, path.basename(root));
    mkdirSync(group);
    try {
      const file = put('tool', `echo $$ >${group}/tasks; echo FROZEN >${group}/freezer.state; exec sleep 300`);
      const state = () => readFileSync(path.join(group, 'freezer.state'), 'utf8').trim();
      const child = startBounded(file, []);
      await expect.poll(state, { timeout: soonMs }).toBe('FROZEN');
      child.giveUp();
      expect(await child.ended).toMatchObject({ timedOut: true });
      expect(readdirSync('/proc')).toContain(readFileSync(path.join(group, 'tasks'), 'utf8').trim());
    } finally {
      writeFileSync(path.join(group, 'freezer.state'), 'THAWED');
      while (existsSync(group)) {
        try {
          rmdirSync(group);
        } catch {
          await sleep(20);
        }
      }
    }
  },
);
