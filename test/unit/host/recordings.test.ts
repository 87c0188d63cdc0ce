import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  checkRecordingDirectory,
  findFiles,
  keepRecording,
  listRecordings,
  recordingLimits,
} from '../../../src/host/recordings.ts';

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(tmpdir(), 'actualnet-recordings-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  fs.rmSync(directory, { recursive: true, force: true });
});

const keep = (atMs: number, text = '{}', object = 'g1') =>
  keepRecording(directory, { atMs, words: ['qemu', object, 'prepare'], text });

describe('what is kept', () => {
  test('is for its owner alone, in the order in which it came, whatever its name is', () => {
    keep(2, 'second', '../../x y');
    keep(1, 'first', 'a'.repeat(3000));
    const files = listRecordings(directory);
    expect(files.map(file => fs.readFileSync(file, 'utf8'))).toEqual(['first', 'second']);
    expect(files.map(file => fs.statSync(file).mode & 0o777)).toEqual([0o600, 0o600]);
    expect(files.every(file => path.dirname(file) === directory)).toBe(true);
  });

  test('is bounded in number: the oldest go, and nothing of others', () => {
    fs.writeFileSync(path.join(directory, 'notes.json'), 'mine');
    for (let atMs = 0; atMs < recordingLimits.calls + 5; atMs++) keep(atMs);
    const names = fs.readdirSync(directory).sort();
    expect(names).toHaveLength(recordingLimits.calls + 1);
    expect(names[0]).toMatch(/^0{14}5-/);
    expect(names.at(-1)).toBe('notes.json');
  });

  test('is bounded in size: in all, and of one call', () => {
    const large = 'x'.repeat(recordingLimits.bytesOfCall);
    const most = recordingLimits.bytesInAll / recordingLimits.bytesOfCall;
    for (let atMs = 0; atMs < most + 3; atMs++) keep(atMs, large);
    expect(fs.readdirSync(directory)).toHaveLength(most);
    expect(() => keep(100, `${large}x`)).toThrow(/larger than 8388608 bytes is not recorded/);
    expect(fs.readdirSync(directory)).toHaveLength(most);
  });

  test('is without what a call has left that was ended midway, once nobody can be writing it', () => {
    const torn = `.${'1'.padStart(15, '0')}-17-qemu-g1-prepare.json`;
    for (const name of [torn, '.mine.json']) fs.writeFileSync(path.join(directory, name), '{');
    keep(600_001);
    expect(fs.readdirSync(directory)).toContain(torn);
    expect(listRecordings(directory)).toHaveLength(1);
    keep(600_002);
    expect(fs.readdirSync(directory).filter(name => name.startsWith('.'))).toEqual(['.mine.json']);
  });

  test('is nothing at all if it cannot be written whole', () => {
    vi.spyOn(fs, 'writeFileSync').mockImplementation(file => {
      fs.closeSync(fs.openSync(file as string, 'wx'));
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    });
    expect(() => keep(1)).toThrow('no space left');
    expect(fs.readdirSync(directory)).toEqual([]);
  });
});

test('a disk that is nearly full keeps no calls', () => {
  fs.chmodSync(directory, 0o700);
  expect(() => checkRecordingDirectory(directory)).not.toThrow();
  const status = fs.statfsSync(directory);
  vi.spyOn(fs, 'statfsSync').mockReturnValue({ ...status, bavail: 10, bsize: 4096 });
  expect(() => checkRecordingDirectory(directory)).toThrow(/less than 256 MiB are free/);
});

describe('files that are looked for', () => {
  const find = (goesOn = () => true, depth = 1) => {
    const lines: string[] = [];
    const wanted = [{ directory, depth, fits: (name: string) => name.endsWith('.xml') }];
    const found = [...findFiles(directory, wanted, { left: line => lines.push(line), goesOn })];
    return { names: found.map(({ name }) => name).sort(), lines };
  };
  const put = (name: string, content = '') => {
    fs.mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
    fs.writeFileSync(path.join(directory, name), content);
  };

  test('are regular files of the wanted names, as deep as is said', () => {
    for (const name of ['a.xml', 'b.txt', 'c/d.xml', 'c/e/f.xml']) put(name);
    fs.symlinkSync('/etc/passwd', path.join(directory, 'link.xml'));
    execFileSync('mkfifo', [path.join(directory, 'pipe.xml')]);
    expect(find()).toEqual({ names: ['a.xml', 'c/d.xml'], lines: [] });
    expect(find(undefined, 0).names).toEqual(['a.xml']);
  });

  test('one that is too large is left, and told of', () => {
    put('large.xml', 'x'.repeat(1024 * 1024 + 1));
    put('small.xml');
    expect(find()).toEqual({ names: ['small.xml'], lines: ["'large.xml' is too large, or has gone"] });
  });

  test('end when there is no time left, and that is told', () => {
    for (const name of ['a.xml', 'b.xml', 'c.xml']) put(name);
    let asked = 0;
    expect(find(() => ++asked < 3)).toEqual({
      names: ['a.xml', 'b.xml'],
      lines: ['files: there are more than are kept of one call'],
    });
  });
});
