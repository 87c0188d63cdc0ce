import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { ownBatches } from '../../../src/host/kernel/batches.ts';

const empty = mkdtempSync(path.join(tmpdir(), 'actualnet-path-'));
const before = process.env.PATH;
afterEach(() => {
  process.env.PATH = before;
});
afterAll(() => rmSync(empty, { recursive: true }));

const isInstalled = ['/usr/sbin/bridge', '/sbin/bridge', '/usr/bin/bridge', '/bin/bridge'].some(file => {
  try {
    return execFileSync('test', ['-x', file]) !== undefined;
  } catch {
    return false;
  }
});

describe('a tool that is not in PATH', () => {
  test.each(['bridge', 'ip'] as const)('%s: the folder it is in is named, or what it is a part of', async tool => {
    process.env.PATH = empty;
    await expect(ownBatches.runBatch(tool, ['link show'], { keepGoing: true })).rejects.toMatchObject({
      code: 'ACTION_FAILED',
      message: isInstalled
        ? expect.stringMatching(
            `^'${tool}' could not be run: it is /(usr/)?s?bin/${tool}, and PATH lacks that directory$`,
          )
        : expect.stringContaining(`'${tool}' could not be run: `),
      hint: isInstalled ? expect.stringMatching(/^add \/(usr\/)?s?bin to PATH, which is '.*'$/) : 'install iproute2',
    });
  });
});
