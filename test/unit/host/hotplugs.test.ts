import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type HostPaths, hostPaths } from '../../../src/host/paths.ts';
import { beginHotplug, forgetUnfinished, listUnfinished, tryBeginHotplug } from '../../../src/host/state/hotplugs.ts';
import type { Uuid } from '../../../src/model/values.ts';

const guest = '0b0e1f52-0000-4000-8000-000000000001' as Uuid;
let paths: HostPaths;
beforeEach(() => {
  paths = hostPaths(mkdtempSync(path.join(tmpdir(), 'actualnet-hotplugs-')));
});
afterEach(() => rmSync(paths.root, { recursive: true, force: true }));
const marker = () => existsSync(path.join(paths.state, 'hotplug', guest));

test('one at a time; the next one has it when the first has ended', async () => {
  const first = await beginHotplug(paths, guest);
  expect(await tryBeginHotplug(paths, guest)).toBeUndefined();
  const next = beginHotplug(paths, guest);
  first.end(true);
  (await next).end(true);
  expect(marker()).toBe(false);
  expect(await listUnfinished(paths)).toEqual([]);
});

test('what was not settled is found, and once it is, forgotten', async () => {
  (await beginHotplug(paths, guest)).end(false);
  expect(await listUnfinished(paths)).toEqual([guest]);
  const second = await tryBeginHotplug(paths, guest);
  // Whoever is at it now will say how it ends.
  expect(await listUnfinished(paths)).toEqual([]);
  second?.end(false);
  await forgetUnfinished(paths, guest);
  expect(marker()).toBe(false);
});

test('other files there are nobody’s hotplug', async () => {
  (await beginHotplug(paths, guest)).end(true);
  writeFileSync(path.join(paths.state, 'hotplug', 'notes'), '');
  expect(await listUnfinished(paths)).toEqual([]);
});

test('nobody waits for ever', async () => {
  const first = await beginHotplug(paths, guest);
  await expect(beginHotplug(paths, guest, 100)).rejects.toThrow(/somebody else attaches or detaches/);
  first.end(true);
});
