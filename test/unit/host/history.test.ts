import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileHistory } from '../../../src/host/state/history.ts';
import type { CallEntry } from '../../../src/report/history.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'actualnet-history-'));
  file = path.join(directory, 'actualnet-history.jsonl');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const entry = (object: string, said: string[] = []): CallEntry => ({
  at: '2026-05-04T13:30:00.000Z',
  kind: 'call',
  by: 'hook',
  operation: 'prepare',
  driver: 'qemu',
  object,
  status: 0,
  durationMs: 5,
  said,
});
const history = (clock = () => 7) => fileHistory({ history: file }, clock);
const objects = () =>
  history()
    .read()
    .map(each => (each as CallEntry).object);

test('what was appended is read in order, and belongs to root alone', () => {
  history().append([entry('a'), entry('b')]);
  history().append([entry('c')]);
  expect(objects()).toEqual(['a', 'b', 'c']);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('a torn line and one that is no entry are passed over', () => {
  history().append([entry('a')]);
  writeFileSync(file, '{"kind":"call","obj', { flag: 'a' });
  history().append([entry('lost')]);
  history().append([entry('c')]);
  expect(objects()).toEqual(['a', 'c']);
});

test('it is bounded: full pieces are put aside, two at once take nothing from each other, the oldest go', () => {
  const long = ['x'.repeat(15_000)];
  let ms = 0;
  const [one, two] = [history(() => ++ms), history(() => ++ms)];
  for (let index = 0; index < 1500; index++) {
    one.append([entry(`one${index}`, long)]);
    two.append([entry(`two${index}`, long)]);
  }
  const kept = objects();
  const total = readdirSync(directory).reduce((sum, name) => sum + statSync(path.join(directory, name)).size, 0);
  expect(total).toBeLessThan(9 * 4.1 * 1024 * 1024);
  expect(total).toBeGreaterThan(7 * 4 * 1024 * 1024);
  // What is kept is the newest, without a gap.
  const all = Array.from({ length: 1500 }, (_, index) => [`one${index}`, `two${index}`]).flat();
  expect(kept).toEqual(all.slice(-kept.length));
});

test('followed: what comes, once and in order, across pieces that are put aside', async () => {
  let ms = 0;
  const writer = history(() => ++ms);
  writer.append([entry('before')]);
  const seen: string[] = [];
  const end = new AbortController();
  const following = history().follow(entries => {
    seen.push(...entries.map(each => (each as CallEntry).object));
  }, end.signal);
  const long = ['x'.repeat(15_000)];
  const all = Array.from({ length: 700 }, (_, index) => `n${index}`);
  for (const name of all) {
    writer.append([entry(name, long)]);
    if (Number(name.slice(1)) % 10 === 0) await new Promise(resolve => setTimeout(resolve, 1));
  }
  await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(all.length);
  expect(seen).toEqual(all);
  end.abort();
  await following;
});

describe('what stands in the way costs nothing but the history', () => {
  test.each<[string, () => void]>([
    ['a FIFO in its place', () => execFileSync('mkfifo', [file])],
    ['a directory in its place', () => mkdirSync(file)],
    ['a link in its place', () => symlinkSync('/etc/passwd', file)],
    ['no directory for it', () => rmSync(directory, { recursive: true })],
    ['a directory that nobody may write', () => chmodSync(directory, 0o555)],
  ])('%s', (_, plant) => {
    plant();
    const before = statSync('/etc/passwd').size;
    expect(() => history().append([entry('a')])).not.toThrow();
    expect(() => history().read()).not.toThrow();
    expect(statSync('/etc/passwd').size).toBe(before);
    if (existsSync(directory)) chmodSync(directory, 0o755);
  });
});
