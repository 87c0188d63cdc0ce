import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { findRemarks } from '../../../src/config/remarks.ts';

const filesOf = (texts: readonly string[]) => texts.map((text, index) => ({ file: `${'abc'[index]}.yaml`, text }));

/** Without the file where there is only one. */
async function mistakes(...texts: readonly string[]): Promise<string[]> {
  const result = await parseConfig(filesOf(texts));
  const found = 'mistakes' in result ? result.mistakes : [];
  return found.map(line => (texts.length === 1 ? line.replace('a.yaml:', '') : line));
}

function remarks(...texts: readonly string[]): string[] {
  return findRemarks(filesOf(texts)).map(line => (texts.length === 1 ? line.replaceAll('a.yaml:', '') : line));
}

const one = 'a rule gives one connection';

describe('a rule of rewrite', () => {
  test.each([
    {
      name: 'three connections',
      keys: 'network: campus-b, bridge: br0, dev: eno1',
      lines: [`bridge: contradicts 'network': ${one}`, `dev: contradicts 'network': ${one}`],
    },
    {
      name: 'a portgroup on a bridge',
      keys: 'portgroup: a, bridge: br0',
      lines: [`bridge: contradicts 'portgroup': ${one}`],
    },
    { name: 'a mode in a network', keys: 'network: n, mode: bridge', lines: [`mode: contradicts 'network': ${one}`] },
    { name: 'a VF in a network', keys: 'vfs: [p0], network: n', lines: [`vfs: contradicts 'network': ${one}`] },
    {
      name: 'a VF with a target',
      keys: 'vfs: [p0], target: t0',
      lines: ["target: contradicts 'vfs': a host device has no target"],
    },
    { name: 'a network and its portgroup', keys: 'network: n, portgroup: null', lines: [] },
    { name: 'a device and its mode', keys: 'dev: eno1, mode: bridge, target: t0, alias: ua-x', lines: [] },
    { name: 'a VF and an alias', keys: 'vfs: [p0], alias: ua-x', lines: [] },
    { name: 'an exception', keys: '', lines: [] },
  ])('$name', async ({ keys, lines }) => {
    const found = await mistakes(`rewrite:\n- { match: {}, ${keys} }\n`);
    expect(found).toEqual(lines.map(line => `2: rewrite[0].${line}`));
  });

  test.each(['vnet7', 'macvtap0', 'macvlan1', 'vnetwork'])(
    'a target that libvirt keeps for itself: %s',
    async target => {
      expect(await mistakes(`rewrite: [{ match: {}, target: ${target} }]`)).toEqual([
        `1: rewrite[0].target: libvirt keeps names that begin with 'vnet', 'macvtap' or 'macvlan' for itself, found '${target}'`,
      ]);
    },
  );

  test.each(['xvnet7', 'Vnet7', 'tap-vnet0', 'vne'])('a target that it does not: %s', async target => {
    expect(await mistakes(`rewrite: [{ match: {}, target: ${target} }]`)).toEqual([]);
  });
});

describe('a pattern that can fit nothing', () => {
  const hint = (text: string) => `'${text}' has no domain, so it fits no PCI address: write '0000:${text}'`;
  const noAddress = (text: string) => `'${text}' fits no PCI address: those are written as 0000:5e:02.1`;
  test.each([
    { key: 'address', pattern: '5e:02.1', says: hint('5e:02.1') },
    { key: 'address', pattern: '5e:*', says: hint('5e:*') },
    { key: 'address', pattern: '3b:00.*', says: hint('3b:00.*') },
    { key: 'address', pattern: '0000:5e:20.1', says: noAddress('0000:5e:20.1') },
    { key: 'address', pattern: '0000:5e:02.8', says: noAddress('0000:5e:02.8') },
    { key: 'address', pattern: '0000:5e:02', says: noAddress('0000:5e:02') },
    { key: 'address', pattern: '*:5e:02', says: noAddress('*:5e:02') },
    { key: 'mac', pattern: '52:54:00', says: "'52:54:00' fits no MAC address: those are written as 52:54:00:12:34:56" },
    { key: 'mac', pattern: '525400*', says: "'525400*' fits no MAC address: those are written as 52:54:00:12:34:56" },
    {
      key: 'mac',
      pattern: '1:2:3:4:5:6:*',
      says: "'1:2:3:4:5:6:*' fits no MAC address: those are written as 52:54:00:12:34:56",
    },
    {
      key: 'tap',
      pattern: 'abcdefghijklmnop',
      says: "'abcdefghijklmnop' fits no link: their names have at most 15 characters",
    },
  ])('$key $pattern', async ({ key, pattern, says }) => {
    for (const section of ['interfaces', 'rewrite'])
      expect(await mistakes(`${section}:\n- match:\n    ${key}: '${pattern}'\n`)).toEqual([
        `3: ${section}[0].match.${key}: ${says}`,
      ]);
  });

  test.each([
    ...['0000:5e:02.1', '0000:5e:*', '*5e:02.1', '*:5e:02.1', '10000:01:00.0', '*', '*.7', '0000:*:1f.*', '*0*0*'],
    // As libvirt prints the domain of a VMD.
    '10000:*',
  ])('is not the address %s', async pattern => {
    expect(await mistakes(`interfaces: [{ match: { address: '${pattern}' } }]`)).toEqual([]);
  });

  test.each(['52:54:00:*', '*:AB', '52:54:00:12:34:56', '52:54:0:1:2:3', '*', '5*', '52:*:00:*', '*00*'])(
    'is not the MAC address %s',
    async pattern => {
      expect(await mistakes(`interfaces: [{ match: { mac: '${pattern}' } }]`)).toEqual([]);
    },
  );

  test('is told once if it is no pattern at all', async () => {
    expect(await mistakes("interfaces: [{ match: { address: '5E' } }]")).toEqual([
      "1: interfaces[0].match.address: expected a PCI address, or a pattern such as '0000:5e:*', found '5E'",
    ]);
  });

  test.each([
    { section: 'interfaces', match: "bridge: br0, dev: '*'", says: "dev: what can be told by 'bridge' has no 'dev'" },
    { section: 'interfaces', match: 'tap: t, bridge: br0', says: "tap: what can be told by 'bridge' has no 'tap'" },
    { section: 'interfaces', match: "bridge: br0, pf: 'e*'", says: "pf: what can be told by 'bridge' has no 'pf'" },
    { section: 'rewrite', match: 'dev: eno1, bridge: br0', says: "dev: what can be told by 'bridge' has no 'dev'" },
    {
      section: 'rewrite',
      match: "dev: eno1, address: '0000:*'",
      says: "address: what can be told by 'dev' has no 'address'",
    },
  ])('in $section two together: $match', async ({ section, match, says }) => {
    expect(await mistakes(`${section}: [{ match: { ${match} } }]`)).toEqual([
      `1: ${section}[0].match.${says}: the rule fits nothing`,
    ]);
  });

  test('is not a macvtap by its device and its PCI address, nor a named tap of a bridge that comes', async () => {
    expect(await mistakes("interfaces: [{ match: { dev: eno1, address: '0000:*' } }]")).toEqual([]);
    expect(await mistakes('rewrite: [{ match: { bridge: br0, tap: web1 } }]')).toEqual([]);
  });
});

describe('rates', () => {
  test.each([
    {
      rates: 'minTxRate: 200, maxTxRate: 100',
      lines: ['1: interfaces[0].minTxRate: 200 is above maxTxRate, which is 100'],
    },
    { rates: 'maxTxRate: 1, minTxRate: 2', lines: ['1: interfaces[0].minTxRate: 2 is above maxTxRate, which is 1'] },
    { rates: 'minTxRate: 100, maxTxRate: 100', lines: [] },
    { rates: 'minTxRate: 100, maxTxRate: 0', lines: [] },
    { rates: 'minTxRate: 100', lines: [] },
    { rates: 'maxTxRate: 100', lines: [] },
  ])('$rates', async ({ rates, lines }) => {
    expect(await mistakes(`interfaces: [{ match: {}, ${rates} }]`)).toEqual(lines);
  });
});

describe('provide', () => {
  test('loops and double names, all at once', async () => {
    const text = `provide:
  bridges:
    br-a: { ports: [br-b] }
    br-b: { ports: [br-a] }
    br-s: { ports: [br-s] }
    twice: {}
  vlans:
    v-s: { link: v-s, id: 5 }
    twice: { link: eno1, id: 6 }
`;
    expect(await mistakes(text)).toEqual([
      "3: provide.bridges.br-a.ports[0]: 'br-b' stands on 'br-a' itself: a loop",
      "4: provide.bridges.br-b.ports[0]: 'br-a' stands on 'br-b' itself: a loop",
      "5: provide.bridges.br-s.ports[0]: 'br-s' stands on itself",
      "8: provide.vlans.v-s.link: 'v-s' stands on itself",
      "9: provide.vlans.twice: 'twice' is the name of one of provide.bridges, too",
    ]);
  });

  test.each([
    {
      name: 'a loop of three kinds',
      text: 'bridges: { br: { ports: [v2] } }, vlans: { v1: { link: br, id: 1 }, v2: { link: v1, id: 2 } }',
      paths: ['bridges.br.ports[0]', 'vlans.v1.link', 'vlans.v2.link'],
    },
    { name: 'a bridge in a bridge', text: 'bridges: { a: { ports: [b] }, b: }', paths: ['bridges.a.ports[0]'] },
    {
      name: 'a port of two bridges',
      text: 'bridges: { a: { ports: [e0] }, b: { ports: [e0] } }',
      paths: ['bridges.b.ports[0]'],
    },
    { name: 'one VLAN twice', text: 'vlans: { v: { link: e0, id: 5 }, w: { link: e0, id: 5 } }', paths: ['vlans.w'] },
    { name: 'a PF that is a bridge', text: 'bridges: { p: }, vfs: { p: { count: 1 } }', paths: ['vfs.p'] },
    {
      name: 'a kept name',
      text: 'bridges: { vnet0: }, vlans: { macvtap1: { link: e0, id: 5 } }',
      paths: ['bridges.vnet0', 'vlans.macvtap1'],
    },
    { name: 'a VLAN on a VLAN', text: 'vlans: { v: { link: w, id: 5 }, w: { link: e0, id: 5 } }', paths: [] },
    {
      name: 'a VLAN on a bridge, whose port is another',
      text: 'bridges: { b: { ports: [w] } }, vlans: { v: { link: b, id: 5 }, w: { link: e0, id: 5 } }',
      paths: [],
    },
    { name: 'a PF with VFs in a bridge', text: 'bridges: { b: { ports: [p] } }, vfs: { p: { count: 1 } }', paths: [] },
  ])('$name', async ({ text, paths }) => {
    const found = await mistakes(`provide: { ${text} }`);
    expect(found.map(line => line.split(': ')[1])).toEqual(paths.map(path => `provide.${path}`));
  });

  test('over several files', async () => {
    const found = await mistakes(
      'provide: { bridges: { b: { ports: [v] } } }',
      'provide: { vlans: { v: { link: b, id: 1 } } }',
    );
    expect(found).toEqual([
      "a.yaml:1: provide.bridges.b.ports[0]: 'v' stands on 'b' itself: a loop",
      "b.yaml:1: provide.vlans.v.link: 'b' stands on 'v' itself: a loop",
    ]);
  });
});

describe('choices among nothing', () => {
  test.each([
    { guests: 'allow: [bridge]', says: "allow[0]: guests may choose no bridge, as 'bridges' names none" },
    {
      guests: 'allow: [mtu, network], networks: []',
      says: "allow[1]: guests may choose no network, as 'networks' names none",
    },
    { guests: 'allow: [dev]', says: "allow[0]: guests may choose no dev, as 'devices' names none" },
    { guests: 'allow: [vfs], bridges: [br0]', says: "allow[0]: guests may choose no vfs, as 'devices' names none" },
    {
      guests: 'bridges: [br0], rules: [{ match: {}, allow: [bridge] }]',
      says: "rules[0].allow[0]: guests may choose no bridge, as 'bridges' names none",
    },
    { guests: 'allow: [vlan], vlans: [200-100]', says: 'vlans[0]: no VLAN is in 200-100' },
  ])('$guests', async ({ guests, says }) => {
    expect(await mistakes(`guests: { ${guests} }`)).toEqual([`1: guests.${says}`]);
  });

  test('may be bounded in another file', async () => {
    expect(await mistakes('guests: { allow: [bridge] }', 'guests: { bridges: [br0] }')).toEqual([]);
  });
});

describe("an unquoted '*'", () => {
  const quotes = "needs quotes: '*";
  test.each([
    ...['interfaces:\n- match: { guest: * }', 'guests: { bridges: [*] }', 'guests:\n  networks:\n  - *'],
    ...[
      'interfaces:\n- match: { guest: *web }',
      'interfaces:\n- match:\n    mac: *:01:*',
      'guests: { bridges: [*-lab] }',
    ],
  ])('%s', async text => {
    const [line, ...others] = await mistakes(text);
    expect(others).toEqual([]);
    expect(line).toMatch(
      new RegExp(`^${text.split('\n').length}: .*a pattern that begins with '\\*' ${quotes.replace('*', '\\*')}`),
    );
  });
});

test('all mistakes of all kinds are told at once', async () => {
  const text = `rewrite: [{ match: {}, bridge: br0, dev: eno1 }]
interfaces:
- match: { address: '5e:02.1' }
  mtu: 1
- match: { guest: a }
  minTxRate: 2
  maxTxRate: 1
provide: { bridges: { b: { ports: [b] } } }
guests: { allow: [bridge, mac] }
`;
  const found = await mistakes(text, 'nix: 1');
  expect(found.map(line => line.split(': ').slice(0, 2).join(' '))).toEqual([
    'a.yaml:1 rewrite[0].dev',
    'a.yaml:3 interfaces[0].match.address',
    'a.yaml:4 interfaces[0].mtu',
    'a.yaml:6 interfaces[1].minTxRate',
    'a.yaml:8 provide.bridges.b.ports[0]',
    'a.yaml:9 guests.allow[1]',
    'a.yaml:9 guests.allow[0]',
    'b.yaml:1 nix',
  ]);
});

describe('remarks', () => {
  const never = (line: number, path: string, first: string, at: number) =>
    `${line}: ${path}: never counts: the rule before it, ${first} in ${at}, fits everything that it fits`;
  test.each([
    { earlier: '{}', later: '{ guest: a }' },
    { earlier: "{ guest: 'web*' }", later: "{ guest: 'web-*', bridge: br0 }" },
    { earlier: "{ guest: '*a*' }", later: "{ guest: 'xa*b' }" },
    { earlier: "{ mac: '52:54:*' }", later: "{ mac: '52:54:00:AB:*' }" },
    { earlier: "{ mac: '52:AB:*' }", later: "{ mac: '52:ab:00:*' }" },
    { earlier: '{ guest: a }', later: '{ guest: a }' },
  ])('a rule behind one that fits all that it fits: $later behind $earlier', ({ earlier, later }) => {
    expect(remarks(`interfaces:\n- match: ${earlier}\n- match: { guest: z9 }\n- match: ${later}`)).toContain(
      never(4, 'interfaces[2]', 'interfaces[0]', 2),
    );
  });

  test.each([
    { earlier: '{ guest: a }', later: '{}' },
    { earlier: "{ guest: 'a*' }", later: "{ guest: '*' }" },
    { earlier: "{ guest: 'a*b' }", later: "{ guest: 'a*' }" },
    { earlier: "{ bridge: '*' }", later: '{ guest: a }' },
    { earlier: "{ guest: 'Web*' }", later: '{ guest: web1 }' },
    { earlier: '{ guest: a, bridge: br0 }', later: '{ guest: a }' },
    { earlier: "{ pf: '*' }", later: "{ address: '0000:5e:*' }" },
  ])('but no other: $later behind $earlier', ({ earlier, later }) => {
    expect(remarks(`interfaces:\n- match: ${earlier}\n- match: ${later}`)).toEqual([]);
  });

  test.each([
    { earlier: '{}', later: "{ address: '0000:81:00.0' }", isForCards: true },
    { earlier: '{ guest: a }', later: "{ guest: a, address: '0000:81:*' }", isForCards: true },
    { earlier: "{ address: '*' }", later: "{ address: '0000:81:*' }", isForCards: false },
    { earlier: '{}', later: "{ address: '0000:81:*', pf: ens1 }", isForCards: false },
    { earlier: '{}', later: "{ address: '0000:81:*', mac: '52:54:*' }", isForCards: false },
    { earlier: '{}', later: '{ pf: ens1 }', isForCards: false },
  ])('of host devices that are no network cards: $later behind $earlier', ({ earlier, later, isForCards }) => {
    expect(remarks(`interfaces:\n- match: ${earlier}\n- match: ${later}`)).toEqual([
      expect.stringContaining(isForCards ? ': never counts for a network card: ' : ': never counts: '),
    ]);
  });

  test.each([
    { earlier: '{ match: {}, bridge: b }', later: '{ match: { guest: a }, dev: e }', shadows: true },
    { earlier: '{ match: {}, bridge: b }', later: '{ match: { guest: a }, alias: ua-x }', shadows: false },
    { earlier: '{ match: {}, vfs: [p] }', later: '{ match: { guest: a }, bridge: b }', shadows: false },
    { earlier: '{ match: {}, vfs: [p] }', later: '{ match: { guest: a }, vfs: [q] }', shadows: true },
    { earlier: '{ match: {} }', later: '{ match: { guest: a }, vfs: [q] }', shadows: true },
    { earlier: '{ match: {}, bridge: b }', later: "{ match: { address: '0000:*' }, alias: ua-x }", shadows: false },
  ])('of rewrite by what rules are meant for: $later behind $earlier', ({ earlier, later, shadows }) => {
    expect(remarks(`rewrite:\n- ${earlier}\n- ${later}`)).toHaveLength(shadows ? 1 : 0);
  });

  test('over several files, and for scopes of guests', () => {
    const lines = remarks('interfaces: [{ match: {} }]', 'interfaces: [{ match: {} }]');
    expect(lines).toEqual([
      'b.yaml:1: interfaces[0]: never counts: the rule before it, interfaces[0] in a.yaml:1, fits everything that it fits',
    ]);
    expect(remarks("guests:\n  rules:\n  - match: { uuid: 'AB*' }\n  - match: { uuid: 'ab0*', guest: x }")).toEqual([
      never(4, 'guests.rules[1]', 'guests.rules[0]', 3),
    ]);
  });

  test.each([
    { text: 'interfaces: [{ match: { tap: vnet0 } }]', path: 'interfaces[0].match.tap' },
    { text: 'provide: { bridges: { b: { ports: [vnet1] } } }', path: 'provide.bridges.b.ports[0]' },
    { text: 'provide: { vlans: { v: { link: macvtap0, id: 1 } } }', path: 'provide.vlans.v.link' },
    { text: 'guests: { vlans: [5] }', path: 'guests.vlans' },
    { text: 'guests: { allow: [vlan] }', path: 'guests.allow[0]' },
    { text: 'guests: { allow: [mtu, announce] }', path: 'guests.allow[1]' },
    { text: 'guests: { rules: [{ match: {}, devices: [e0] }] }', path: 'guests.rules[0].devices' },
  ])('what is hardly meant: $text', async ({ text, path }) => {
    expect(await mistakes(text)).toEqual([]);
    const [line, ...others] = remarks(text);
    expect(others).toEqual([]);
    expect(line?.split(': ')[1]).toBe(path);
  });

  test.each([
    "interfaces: [{ match: { tap: 'vnet*' } }]",
    'guests: { allow: [vlan], vlans: [5] }',
    'guests: { allow: [vfs], devices: [e0] }',
    'a: b: c',
    '',
    'interfaces: 5\nguests: [x]\nrewrite: [7, { match: }]',
  ])('and nothing is remarked on %s', text => {
    expect(remarks(text)).toEqual([]);
  });
});
