import { expect, test } from 'vitest';
import type { CutOver } from '../../../src/agent/cut-over.ts';
import { type FollowHost, followRunState } from '../../../src/agent/follow.ts';
import type { Wanted } from '../../../src/agent/queue.ts';
import { parseConfig } from '../../../src/config/config.ts';
import type { Effects, LedgerFile } from '../../../src/journal/effects.ts';
import type { Command } from '../../../src/kernel/kind.ts';
import type { Uuid } from '../../../src/model/values.ts';
import { ActualnetError } from '../../../src/report/error.ts';
import { oldestLibvirtVersion } from '../../../src/resolve/version.ts';
import { domain, guestUuid } from '../../helpers/documents.ts';
import { hostView, link } from '../../helpers/host-view.ts';

const mac = '52:54:00:00:00:01';
const config = 'bridges: { br0: { keepForwardingTable: true } }';
const guest = domain(
  `<interface type='bridge'><mac address='${mac}'/><source bridge='br0'/><target dev='tap7'/></interface>`,
  "type='kvm' id='1'",
);

/** A host with one bridge and a guest's tap in it; the guest has a status file until it is taken away. */
async function following() {
  const asked = await parseConfig([{ file: 'test', text: config }]);
  if ('mistakes' in asked) throw new Error(asked.mistakes.join());
  const fdb = new Set<string>();
  let lines: readonly object[] = [];
  let nowMs = 1000;
  const ledger: LedgerFile = {
    read: () => lines,
    append: added => (lines = [...lines, ...added]),
    replace: all => (lines = all),
  };
  const entry = { mac, dev: 'tap7', table: 'bridge', fixed: true } as const;
  const effects = {
    view: async () =>
      hostView(
        [
          link('br0', { isBridge: true, lowers: ['tap7'] }),
          link('tap7', { master: 'br0', isTap: true, port: { learning: true, flood: true, isolated: false } }),
        ],
        { fdb: fdb.has(mac) ? [entry] : [] },
      ),
    run: async (commands: readonly Command[]) => {
      nowMs += 5;
      for (const words of commands.map(({ line }) => line.split(' ')).filter(([what]) => what === 'fdb'))
        fdb[words[1] === 'delete' ? 'delete' : 'add'](words[2]!);
      return [];
    },
    lock: async () => () => undefined,
    guestLedger: () => ledger,
    guestsWithLedger: () => [],
    sharedNames: () => [],
    isGone: () => false,
    now: () => nowMs,
  } as unknown as Effects;
  const state = { runs: true, hasConfig: true };
  const notes: CutOver[] = [];
  const warnings: string[] = [];
  const host: FollowHost = {
    findGuest: () => (state.runs ? guest : undefined),
    hasEnded: () => !state.runs,
    findRecorded: () => guestUuid as Uuid,
    isIncoming: () => true,
    effects,
    async planning() {
      if (!state.hasConfig) throw new ActualnetError('CONFIG', 'a mistake');
      return {
        config: asked.config,
        effects,
        findNetwork: () => undefined,
        version: () => oldestLibvirtVersion,
      };
    },
    note: cutOver => notes.push(cutOver) > 0,
    announce: async () => [],
    cancel: () => undefined,
    log: { info: () => undefined, warn: line => warnings.push(line) },
  };
  const follow = (wanted: Wanted, ...events: string[]) => {
    const causes = events.map(words => {
      const [event, ...detail] = words.split(' ');
      return { event: event!, detail: detail.join(' '), atMs: nowMs };
    });
    return followRunState('g1', wanted, causes, host);
  };
  const briefly = () => notes.map(({ reachable, cause }) => `${cause}: ${reachable ? 'open' : 'closed'}`);
  return { follow, fdb, state, notes, briefly, warnings };
}

test('a guest that leaves and one that comes are noted, each with what moved its CPUs', async () => {
  const { follow, fdb, briefly, notes } = await following();
  await follow('open', 'Resumed Migrated');
  expect([...fdb]).toEqual([mac]);
  await follow('close', 'Suspended Migrated');
  expect([...fdb]).toEqual([]);
  expect(briefly()).toEqual(['Resumed Migrated: open', 'Suspended Migrated: closed']);
  expect(notes[1]).toMatchObject({ macs: [mac], beganMs: notes[1]!.heardMs, doneMs: notes[1]!.heardMs + 5 });
});

test.each<{ name: string; wanted: Wanted; events: string[]; notes: string[] }>([
  { name: 'is gone', wanted: 'close', events: ['Suspended Migrated'], notes: ['Suspended Migrated: closed'] },
  {
    name: 'is gone, with its end heard as well',
    wanted: 'gone',
    events: ['Suspended Migrated', 'Stopped Migrated'],
    notes: ['Suspended Migrated: closed'],
  },
  {
    name: 'is gone, with nothing else heard',
    wanted: 'gone',
    events: ['Stopped Migrated'],
    notes: ['Stopped Migrated: closed'],
  },
  { name: 'ends otherwise', wanted: 'gone', events: ['Stopped Destroyed'], notes: [] },
  { name: 'came and was suspended', wanted: 'close', events: ['Resumed Migrated', 'Suspended Paused'], notes: [] },
])('the closing of a guest that $name', async ({ wanted, events, notes }) => {
  const { follow, fdb, state, briefly } = await following();
  await follow('open', 'Resumed Unpaused');
  state.runs = false;
  await follow(wanted, ...events);
  expect([...fdb]).toEqual([]);
  expect(briefly()).toEqual(notes);
});

test('a guest that is gone and was closed by others is not said to have been closed now', async () => {
  const { follow, state, briefly } = await following();
  state.runs = false;
  await follow('gone', 'Suspended Migrated', 'Stopped Migrated');
  expect(briefly()).toEqual([]);
});

test('closing needs no configuration, and is tried again for what does', async () => {
  const { follow, fdb, state, briefly } = await following();
  await follow('open', 'Resumed Unpaused');
  state.hasConfig = false;
  await expect(follow('close', 'Suspended Migrated')).rejects.toMatchObject({ code: 'CONFIG' });
  expect([...fdb]).toEqual([]);
  expect(briefly()).toEqual(['Suspended Migrated: closed']);
  await expect(follow('open', 'Resumed Migrated')).rejects.toMatchObject({ code: 'CONFIG' });
  state.hasConfig = true;
  await follow('open', 'Resumed Migrated');
  state.hasConfig = false;
  await follow('gone', 'Stopped Destroyed');
  expect([...fdb]).toEqual([]);
});
