import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAddresses, readWaysOut } from '../../../src/host/kernel/addresses.ts';

// As `ip -j` and the kernel's files print them on a host with a card of each kind.
const shown = {
  v0: {
    ifname: 'v0',
    addr_info: [
      { family: 'inet', local: '192.0.2.1', prefixlen: 24, scope: 'global' },
      { family: 'inet6', local: '2001:db8::1', prefixlen: 64, scope: 'global' },
      { family: 'inet6', local: 'fe80::1', prefixlen: 64, scope: 'link' },
    ],
  },
  v1: { ifname: 'v1', addr_info: [{ family: 'inet6', local: 'fe80::2', prefixlen: 64, scope: 'link' }] },
  lo: { ifname: 'lo', addr_info: [{ family: 'inet', local: '127.0.0.1', prefixlen: 8, scope: 'host' }] },
  v2: { ifname: 'v2', addr_info: [{ family: 'inet6', local: 'fec0::2', prefixlen: 64, scope: 'site' }] },
  v3: { ifname: 'v3' },
};

test.each<[string, string[], Record<string, string[]>]>([
  ['those of the network', ['v0'], { v0: ['192.0.2.1/24', '2001:db8::1/64'] }],
  ['none of the link itself', ['v1', 'lo', 'v3'], { v1: [], lo: [], v3: [] }],
  ['those of a site, too', ['v2'], { v2: ['fec0::2/64'] }],
])('addresses: %s', async (_, links, expected) => {
  const lines: string[] = [];
  const readBatch = async (_tool: string, asked: readonly string[]) => {
    lines.push(...asked);
    return asked.map(line => [shown[line.split(' ').at(-1) as keyof typeof shown]]);
  };
  expect(Object.fromEntries(await readAddresses(links, { readBatch }))).toEqual(expected);
  expect(lines).toEqual(links.map(dev => `addr show dev ${dev}`));
});

test('addresses that cannot be read are none, and nobody is asked for no link', async () => {
  const readBatch = () => Promise.reject(new Error('no ip here'));
  expect([...(await readAddresses(['v0'], { readBatch }))]).toEqual([]);
  expect([...(await readAddresses([], { readBatch: () => expect.fail() }))]).toEqual([]);
});

describe('the way out', () => {
  let proc: string;
  beforeEach(() => {
    proc = mkdtempSync(path.join(tmpdir(), 'actualnet-routes-'));
    mkdirSync(path.join(proc, 'net'));
  });
  afterEach(() => rmSync(proc, { recursive: true }));

  const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
  const v4 = (dev: string, to: string, mask: string) => `${dev}\t${to}\t020200C0\t0003\t0\t0\t0\t${mask}\t0\t0\t0     `;
  const zeros = '0'.repeat(32);
  const v6 = (dev: string, to: string, length: string) =>
    `${to} ${length} ${zeros} 00 ${zeros} 00000400 00000001 00000000 00000003 ${dev.padStart(8)}`;

  test.each<[string, { route?: string[]; ipv6_route?: string[] }, string[]]>([
    ['of nobody', {}, []],
    ['by IPv4', { route: [head, v4('v0', '00000000', '00000000'), v4('v1', '000200C0', '00FFFFFF')] }, ['v0']],
    ['not by half of the addresses', { route: [head, v4('v0', '00000000', '00000080')] }, []],
    ['by two', { route: [head, v4('v0', '00000000', '00000000'), v4('v1', '00000000', '00000000')] }, ['v0', 'v1']],
    [
      'by IPv6',
      { ipv6_route: [v6('v1', `20010db8${'0'.repeat(24)}`, '40'), v6('v0', zeros, '00'), v6('lo', zeros, '00')] },
      ['v0'],
    ],
  ])('%s', (_, files, expected) => {
    for (const [name, lines] of Object.entries(files))
      writeFileSync(path.join(proc, 'net', name), `${lines.join('\n')}\n`);
    expect([...readWaysOut(proc)].sort()).toEqual(expected);
  });
});
