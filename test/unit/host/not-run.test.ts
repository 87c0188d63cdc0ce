import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ownBatches } from '../../../src/host/kernel/batches.ts';
import { runBounded } from '../../../src/host/process/bounded.ts';
import { hintToRun, whyNotRun } from '../../../src/host/process/not-run.ts';

const path0 = process.env.PATH;
let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'actualnet-path-'));
  mkdirSync(path.join(root, 'sbin'));
  mkdirSync(path.join(root, 'bin'));
  writeFileSync(path.join(root, 'sbin/bridge'), '');
  process.env.PATH = path.join(root, 'bin');
});
afterEach(() => {
  process.env.PATH = path0;
  rmSync(root, { recursive: true });
});

describe('a program that could not be run', () => {
  test.each<[name: string, tool: string, why: string, hint: string]>([
    [
      'is where PATH does not lead',
      'bridge',
      'it is ROOT/sbin/bridge, and PATH lacks that directory',
      "add ROOT/sbin to PATH, which is 'ROOT/bin'",
    ],
    ['is nowhere', 'ip', 'spawn ip ENOENT', 'install iproute2'],
  ])('%s', (_, tool, why, hint) => {
    const directories = [path.join(root, 'sbin')];
    expect(whyNotRun(tool, `spawn ${tool} ENOENT`, directories)).toBe(why.replaceAll('ROOT', root));
    expect(hintToRun(tool, 'iproute2', directories)).toBe(hint.replaceAll('ROOT', root));
  });

  test('is in PATH, and something else is wrong with it', () => {
    writeFileSync(path.join(root, 'bin/bridge'), '');
    const directories = [path.join(root, 'sbin')];
    expect(whyNotRun('bridge', 'spawn bridge EACCES', directories)).toBe('spawn bridge EACCES');
  });

  // Wherever a machine has its shell, it is in one of the usual directories.
  test('is told of by whoever runs it', async () => {
    const { complaint, status } = await runBounded('sh', ['-c', 'true'], { limitMs: 30_000 });
    expect([status, complaint]).toEqual([null, expect.stringMatching(/^it is \/(usr\/)?bin\/sh, and PATH lacks/)]);
    await expect(ownBatches.runBatch('sh' as never, ['true'], { keepGoing: false })).rejects.toMatchObject({
      message: expect.stringMatching(/^'sh' could not be run: it is \/(usr\/)?bin\/sh, and PATH lacks that directory$/),
      hint: expect.stringMatching(/^add \/(usr\/)?bin to PATH, which is '/),
    });
  });
});
