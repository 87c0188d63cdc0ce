import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { findInertSettings } from '../../../src/plan/inert-rules.ts';

async function inert(text: string) {
  const result = await parseConfig([{ file: 'test', text }]);
  if ('mistakes' in result) throw new Error(result.mistakes.join('\n'));
  return findInertSettings(result.config);
}

test('the sample has no setting without effect', async () => {
  const sample = readFileSync(path.join(import.meta.dirname, '../../../samples/config.yaml'), 'utf8');
  expect(await inert(sample)).toEqual([]);
});

test.each<[match: string, settings: string, inert: string[]]>([
  ["dev: 'eno*'", 'isolated: true, vlan: 5', ['isolated']],
  ['dev: eno1', 'mtu: 9000, trust: true', ['mtu']],
  ['bridge: br0', 'trust: false, maxTxRate: 100, vlan: 5', ['trust', 'maxTxRate']],
  ['bridge: br0', 'bridge: br0, isolated: true, mtu: 1400', []],
  ["tap: 'x*'", 'spoofchk: true, bridge: br0', ['spoofchk']],
  ['pf: ens1f0', 'vlan: [5, 6]', ['vlan']],
  ['pf: ens1f0', 'vlan: 5, vlanQos: 3', []],
  ["pf: ens1f0, network: 'vfs'", 'keepForwardingTable: true, mtu: 9000, vlan: 5', ['keepForwardingTable', 'mtu']],
  ["address: '0000:5e:*'", 'isolated: true, announce: 192.0.2.1', ['isolated']],
  ["dev: 'eno*'", 'isolated: false, keepForwardingTable: false', []],
  ['guest: web1', 'vlan: 5, isolated: true, mtu: 1400, trust: true', []],
  ['network: prod', 'isolated: true, trust: true', []],
  ['{}', 'queryRss: true', []],
])('a rule for %s with %s', async (match, settings, expected) => {
  const rule = `interfaces: [{ match: ${match === '{}' ? match : `{ ${match} }`}, ${settings} }]`;
  const found = await inert(rule);
  expect(found.map(({ pointer }) => pointer.replace('/interfaces/0/', ''))).toEqual(expected);
});
