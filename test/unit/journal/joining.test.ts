import { expect, test } from 'vitest';
import { carryOut } from '../../../src/journal/apply.ts';
import type { Effects } from '../../../src/journal/effects.ts';
import type { Command } from '../../../src/kernel/kind.ts';
import type { Change } from '../../../src/kernel/registry.ts';

import { hostView, link } from '../../helpers/host-view.ts';

/** What is run for these changes on a tap that is in no bridge yet, and what could not be done. */
async function run(changes: readonly Change[], facts: Parameters<typeof hostView>[1] = {}) {
  const lines: string[] = [];
  const ledger: object[] = [];
  const file = {
    read: () => ledger,
    append: (added: readonly object[]) => void ledger.push(...added),
    replace: () => undefined,
  };
  const effects = {
    view: async () => hostView([link('br0', { isBridge: true }), link('tap0', { isTap: true })], facts),
    lock: async () => () => undefined,
    sharedLedger: () => file,
    run: async (commands: readonly Command[]) => {
      lines.push(...commands.map(({ tool, line }) => `${tool} ${line}`));
      return [];
    },
    now: () => 0,
  } as unknown as Effects;
  const problems = await carryOut(changes, { owner: 'g', user: 'g', ledger: file, effects, keepGoing: true });
  return { lines, problems };
}

const why = 'it is to be so';
const own: readonly Change[] = [
  { subject: { kind: 'isolated', dev: 'tap0' }, to: true, why },
  { subject: { kind: 'vlan', dev: 'tap0', id: 1 }, to: null, why },
  { subject: { kind: 'vlan', dev: 'tap0', id: 42 }, to: 'pvid untagged', why },
];

test('what a port gets with its bridge is set although it is not one yet, and the default VLAN taken away', async () => {
  const { lines, problems } = await run([{ subject: { kind: 'master', dev: 'tap0' }, to: 'br0', why }, ...own]);
  expect(problems).toEqual([]);
  expect(lines).toEqual([
    'ip link set dev tap0 master br0',
    'ip link set dev tap0 type bridge_slave isolated on',
    'bridge vlan delete dev tap0 vid 1',
    'bridge vlan add dev tap0 vid 42 pvid untagged',
  ]);
});

test('without a bridge it is told what it is not', async () => {
  const { lines, problems } = await run(own.slice(0, 1));
  expect([lines, problems]).toEqual([[], ["'tap0' is no port of a Linux bridge"]]);
});

test.each([
  {
    name: 'the kernel’s own entry on the port itself',
    entry: { dev: 'tap0', local: true },
    told: /is the MAC address of 'tap0'/,
  },
  { name: 'the bridge’s own', entry: { dev: 'br0', local: true }, told: /is the MAC address of 'br0'/ },
  { name: 'one that somebody has made elsewhere', entry: { dev: 'up0' }, told: /has a fixed entry on 'up0' already/ },
])('an entry is not made where it would replace $name', async ({ entry, told }) => {
  const mac = '52:54:00:00:00:01';
  const links = [
    link('br0', { isBridge: true }),
    link('tap0', { isTap: true, master: 'br0', port: { learning: true, flood: true, isolated: false } }),
    link('up0', { master: 'br0' }),
  ];
  const { lines, problems } = await run(
    [
      { subject: { kind: 'fdb', dev: 'tap0', mac, table: 'bridge' }, to: true, why },
      { subject: { kind: 'learning', dev: 'tap0' }, to: false, why },
    ],
    { link: dev => links.find(each => each.dev === dev), fdb: [{ mac, table: 'bridge', fixed: true, ...entry }] },
  );
  expect(lines).toEqual([]);
  expect(problems).toEqual([expect.stringMatching(told)]);
});
