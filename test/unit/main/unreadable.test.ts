import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { statusCommand } from '../../../src/cli/status.ts';
import type { Effects } from '../../../src/journal/effects.ts';
import { releaseShared, undoGuest, undoTogether } from '../../../src/journal/undo.ts';
import type { Uuid } from '../../../src/model/values.ts';
import { xmlLimits } from '../../../src/xml/well-formed.ts';
import { hostView, link } from '../../helpers/host-view.ts';
import { World } from '../../helpers/world.ts';

const [first, second] = ['0b0e1f52-0000-4000-8000-000000000001', '0b0e1f52-0000-4000-8000-000000000002'] as Uuid[];
const at = '2026-01-01T00:00:00.000Z';
const up = (dev: string, more: object = {}) => ({
  at,
  intend: { subject: { kind: 'up', dev }, before: false, to: true, ...more },
});
let world: World;
const inState = (...parts: string[]) => path.join(world.paths.state, ...parts);
function write(file: string, ...lines: (object | string)[]): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, lines.map(line => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''));
}
beforeEach(() => {
  world = new World();
  for (const guest of [first!, second!])
    write(inState('guests', `${guest}.jsonl`), { at, op: 'started', name: guest.slice(-1) });
});
afterEach(() => world.destroy());

/** What somebody may have put in the place of a file of ours. */
const spoilt: readonly { name: string; put: (file: string) => void }[] = [
  { name: 'a FIFO', put: file => execFileSync('mkfifo', [file]) },
  { name: 'a directory', put: file => mkdirSync(file) },
  { name: 'a link', put: file => execFileSync('ln', ['-s', '/etc/passwd', file]) },
  {
    name: 'a file that is too large',
    put(file) {
      writeFileSync(file, '');
      truncateSync(file, xmlLimits.whole + 1);
    },
  },
];
const spoil = (file: string, put: (file: string) => void) => {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  rmSync(file, { force: true });
  put(file);
};
function status(): string {
  let text = '';
  const { memory } = world.context();
  const io = {
    write(more: string) {
      text += more;
    },
  };
  statusCommand(
    { guest: undefined, format: 'table', memory, effects: world.effects(), agentState: undefined, problem: undefined },
    io as never,
  );
  return text;
}

describe.each(spoilt)('$name', ({ put }) => {
  test.each([
    { place: 'ledger', file: () => inState('ledgers', `${first}.jsonl`) },
    { place: 'shared ledger', file: () => inState('shared', 'br0.jsonl') },
  ])('in the place of a $place is named and kept, the others are undone and listed', async ({ file }) => {
    spoil(file(), put);
    write(inState('ledgers', `${second}.jsonl`), up('gone1'));
    write(inState('shared', 'br1.jsonl'), up('br1', { user: second }));
    expect(status()).toMatch(/\n2 .*started/);
    expect(status()).toContain(`not readable: what a ledger says that cannot be read, which is kept: `);
    const lines = await world.recover();
    expect(lines.join('\n')).toContain(file());
    expect(lines).toContain("guest '2' does not run: undone and forgotten");
    expect(existsSync(file())).toBe(true);
    expect([existsSync(inState('ledgers', `${second}.jsonl`)), existsSync(inState('shared', 'br1.jsonl'))]).toEqual([
      false,
      false,
    ]);
    // Nothing else is left to do, and it is still named.
    expect((await world.recover()).every(line => line.includes(file()))).toBe(true);
  });

  test('in the place of a status file keeps nobody else from being recovered', async () => {
    spoil(path.join(world.paths.libvirtGuestStatus, 'x.xml'), put);
    expect(await world.recover()).toEqual([
      "guest '1' does not run: undone and forgotten",
      "guest '2' does not run: undone and forgotten",
    ]);
  });
});

test.each(spoilt.slice(0, 2))('$name in the place of a record is named and kept', async ({ put }) => {
  const file = inState('guests', `${first}.jsonl`);
  spoil(file, put);
  expect(status()).toContain(`not readable: '${file}' is not a regular file`);
  expect(await world.recover()).toEqual([
    "guest '2' does not run: undone and forgotten",
    `'${file}' is not a regular file`,
  ]);
  expect(existsSync(file)).toBe(true);
});

describe('lines of a kind that is not known', () => {
  test.each([
    { name: 'another word', line: { at, moved: 'x' } },
    {
      name: 'another kind of subject',
      line: { at, intend: { subject: { kind: 'qdisc', dev: 'x' }, before: null, to: 1 } },
    },
    {
      name: 'an entry of another kind',
      line: { at, entry: { subject: { kind: 'ntuple', dev: 'x' }, before: 1, users: [] } },
    },
    { name: 'no time', line: { join: 'x', user: 'y' } },
  ])('are kept and told of, in whatever is undone: $name', async ({ line }) => {
    const files = [inState('ledgers', `${first}.jsonl`), inState('shared', 'br0.jsonl')];
    write(files[0]!, line, up('gone1'));
    write(files[1]!, up('br0', { user: first }), line);
    await undoGuest(first!, world.effects());
    await releaseShared(first!, world.effects());
    const lines = await world.recover();
    for (const file of files) expect(readFileSync(file, 'utf8')).toContain(JSON.stringify(line));
    expect(lines.filter(each => each.includes('does not know: 1 are kept'))).toHaveLength(2);
    expect(status()).toContain('has lines that this version does not know: 1 are kept');
    // A ledger that has been written anew would be short.
    const ledger = world.effects().guestLedger(first!);
    for (let round = 0; round < 150; round++) ledger.append([up('gone1'), { at, close: ['up gone1'] }]);
    await undoGuest(first!, world.effects());
    expect(readFileSync(files[0]!, 'utf8')).toContain(JSON.stringify(line));
  });
});

test.each(['bridge', 'ip'] as const)('what only %s could undo stays and is named, the rest is undone', async broken => {
  const ran: string[] = [];
  const effects: Effects = {
    ...world.effects(),
    async view(needs) {
      if (broken === 'bridge' && needs.fdb) throw new Error('spawn bridge ENOENT');
      return hostView([link('br0', { isBridge: true }), link('tap1', { up: true, master: 'br0', index: 7 })], {
        fdb: [{ mac: '52:54:00:00:00:01', dev: 'tap1', table: 'bridge', fixed: true }],
      });
    },
    async run(commands) {
      if (commands.some(({ tool }) => tool === broken)) throw new Error(`spawn ${broken} ENOENT`);
      ran.push(...commands.map(({ tool, line }) => `${tool} ${line}`));
      return [];
    },
  };
  const fdb = { kind: 'fdb', dev: 'tap1', mac: '52:54:00:00:00:01', table: 'bridge' };
  write(inState('ledgers', `${first}.jsonl`), up('tap1', { index: 7 }), {
    at,
    intend: { subject: fdb, before: false, to: true, index: 7 },
  });
  const { problems } = await undoGuest(first!, effects);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(`spawn ${broken} ENOENT`);
  expect(ran).toEqual([expect.stringContaining(broken === 'ip' ? 'bridge fdb' : 'ip link set')]);
  const file = effects.guestLedger(first!);
  expect(await undoTogether([], effects)).toEqual({ leftAlone: [], problems: [] });
  expect(JSON.stringify(file.read())).toContain('tap1');
});

describe('state directories', () => {
  test.each([
    { place: 'the whole', directory: '' },
    { place: 'ledgers', directory: 'ledgers' },
    { place: 'records', directory: 'guests' },
  ])('that others may write in are refused, and named: $place', async ({ directory }) => {
    write(inState('ledgers', `${first}.jsonl`), up('gone1'));
    chmodSync(inState(directory), 0o777);
    expect(status()).toContain(
      `not readable: cannot use the directory '${path.join(inState(), directory)}'`.replace('//', '/'),
    );
    if (directory !== 'guests') {
      await expect(undoGuest(first!, world.effects())).rejects.toThrow(/others may write in it/);
      expect(existsSync(inState('ledgers', `${first}.jsonl`))).toBe(true);
    } else {
      expect(world.context().memory.readRecord(first!)).toEqual([]);
      expect(() => world.context().memory.appendRecord(first!, {})).toThrow(/others may write in it/);
    }
  });

  test.skipIf(process.getuid?.() !== 0)('of another user are refused', async () => {
    write(inState('ledgers', `${first}.jsonl`), up('gone1'));
    execFileSync('chown', ['65534', inState('ledgers')]);
    await expect(undoGuest(first!, world.effects())).rejects.toThrow(/it belongs to another user/);
  });
});
