import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { garbageCollector } from '../../../src/agent/garbage.ts';
import { startLimitMs } from '../../../src/guest/liveness.ts';
import { hostEffects } from '../../../src/host/effects.ts';
import { hostPaths } from '../../../src/host/paths.ts';
import { fileMemory } from '../../../src/host/state/memory.ts';
import { intend } from '../../../src/journal/ledger.ts';
import { whatRuns } from '../../../src/main/running.ts';
import type { Uuid } from '../../../src/model/values.ts';

const uuidOf = (name: string) => `0b0e1f52-0000-4000-8000-0000000000${name}` as Uuid;

test('a guest that is missing twice in a row is forgotten; one that runs, or has just begun, is not', async () => {
  const paths = hostPaths(mkdtempSync(path.join(tmpdir(), 'actualnet-collectGarbage-')));
  let nowMs = Date.parse('2026-01-01T12:00:00Z');
  const clock = () => nowMs;
  const memory = fileMemory(paths, clock);
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(`warn: ${line}`) };
  const collectGarbage = garbageCollector(() => whatRuns(paths, memory, startLimitMs), {
    effects: hostEffects(paths, clock),
    log,
  });
  const after = async (seconds: number) => {
    nowMs += seconds * 1000;
    await collectGarbage();
    return memory.listRecords().map(uuid => uuid.slice(-2));
  };
  const status = (name: string) => path.join(paths.libvirtGuestStatus, `${name}.xml`);
  mkdirSync(paths.libvirtGuestStatus, { recursive: true });
  for (const [name, at] of [
    ['01', '10:00'],
    ['02', '10:00'],
    ['03', '11:55'],
  ] as const)
    memory.appendRecord(uuidOf(name), { at: `2026-01-01T${at}:00Z`, op: 'started', name });
  writeFileSync(
    status('01'),
    `<domstatus><domain type='kvm'>\n<name>01</name>\n<uuid>${uuidOf('01')}</uuid></domain></domstatus>`,
  );
  try {
    expect(await after(30)).toEqual(['01', '02', '03']);
    expect(await after(31)).toEqual(['01', '02', '03']);
    expect(await after(61)).toEqual(['01', '03']);
    expect(lines).toEqual(["guest '02' does not run: undone and forgotten"]);
    writeFileSync(status('01'), 'torn');
    expect(await after(3600)).toEqual(['01']);
    expect(await after(61)).toEqual(['01']);
    rmSync(status('01'));
    expect(await after(61)).toEqual(['01']);
    expect(await after(61)).toEqual([]);
  } finally {
    rmSync(paths.root, { recursive: true, force: true });
  }
});

test('a network that is missing at one look keeps what it stands on', async () => {
  const paths = hostPaths(mkdtempSync(path.join(tmpdir(), 'actualnet-collectGarbage-')));
  let nowMs = Date.parse('2026-01-01T12:00:00Z');
  const clock = () => nowMs;
  const effects = hostEffects(paths, clock);
  const at = '2026-01-01T10:00:00Z';
  const subject = { kind: 'up', dev: 'nodev0' } as const;
  const entry = intend(
    { subject, to: true, why: 'a test', shared: true },
    { value: false, index: 1 },
    { at, user: 'network:n' },
  );
  effects.sharedLedger('nodev0').append([entry]);
  const collectGarbage = garbageCollector(() => whatRuns(paths, fileMemory(paths, clock), startLimitMs), {
    effects,
    log: { info: () => {}, warn: () => {} },
  });
  const after = async (seconds: number) => {
    nowMs += seconds * 1000;
    await collectGarbage();
    return effects.sharedNames();
  };
  try {
    expect([await after(61), await after(61)]).toEqual([['nodev0'], []]);
  } finally {
    rmSync(paths.root, { recursive: true, force: true });
  }
});
