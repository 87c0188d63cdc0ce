import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { recordingLimits } from '../../src/host/recordings.ts';
import { hasShared, recordedCalls, recordedScenarios } from '../helpers/calls.ts';
import { recordCall, replayAll } from '../helpers/recording.ts';
import { World } from '../helpers/world.ts';

const config = `interfaces: [{ match: { mac: '*' }, isolated: true }]
rewrite: [{ match: { bridge: '*' }, alias: ua-rewritten }]
settings: { refusedSecurity: warn }
`;
let directory: string;
beforeEach(() => {
  vi.stubGlobal('builtFrom', { version: '0.0.1', commit: null });
  directory = mkdtempSync(path.join(tmpdir(), 'actualnet-recorded-'));
  chmodSync(directory, 0o700);
});
afterEach(() => {
  vi.unstubAllGlobals();
  rmSync(directory, { recursive: true, force: true });
});

describe.skipIf(!hasShared)("libvirt's own calls, recorded and answered again (needs its recordings)", () => {
  test.each(hasShared ? recordedScenarios() : [])('%s', async scenario => {
    const all = recordedCalls(scenario);
    for (const name of new Set(all.map(({ host }) => host))) {
      rmSync(directory, { recursive: true });
      directory = mkdtempSync(path.join(tmpdir(), 'actualnet-recorded-'));
      const world = new World(config);
      const calls = all.filter(({ host }) => host === name).slice(0, recordingLimits.calls);
      try {
        const statuses: number[] = [];
        for (const { driver, words, stdin } of calls)
          statuses.push((await recordCall(world, directory, { driver, words, xml: stdin.toString() })).status);
        world.destroy();
        const replayed = await replayAll(directory);
        expect(replayed.map(({ answer }) => answer?.status)).toEqual(statuses);
        expect(replayed.flatMap(({ missing }) => missing)).toEqual([]);
        const others = replayed.filter(({ result }) => result !== 'same');
        expect(others.map(({ file, differences, why }) => ({ file, differences, why }))).toEqual([]);
      } finally {
        world.destroy();
      }
    }
  });
});
