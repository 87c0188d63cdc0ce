import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import schema from '../../../schemas/config.schema.json' with { type: 'json' };
import { defaultConfig, parseConfig, reviveConfig } from '../../../src/config/config.ts';
import { type Config, guestPlaces, interfaceSettings } from '../../../src/config/types.ts';
import { isLinkName } from '../../../src/model/values.ts';

/** The configuration that texts make, the first of them in `a.yaml`. */
async function parse(...texts: readonly string[]): Promise<Config> {
  const result = await parseConfig(texts.map((text, index) => ({ file: `${'abc'[index]}.yaml`, text })));
  if ('mistakes' in result) throw new Error(result.mistakes.join('\n'));
  return result.config;
}

async function mistakes(...texts: readonly string[]): Promise<readonly string[]> {
  const result = await parseConfig(texts.map((text, index) => ({ file: `${'abc'[index]}.yaml`, text })));
  return 'mistakes' in result ? result.mistakes : [];
}

describe('what is written', () => {
  test('the sample, complete', async () => {
    const sample = readFileSync(path.join(import.meta.dirname, '../../../samples/config.yaml'), 'utf8');
    expect(await parse(sample)).toEqual({
      bridges: {
        br0: { keepForwardingTable: true, isolated: false, uplinkVlans: true, uplinks: [], pfForwardingTable: false },
        'br-dmz': {
          keepForwardingTable: false,
          isolated: true,
          uplinkVlans: false,
          uplinks: [],
          pfForwardingTable: false,
        },
      },
      taps: { create: true, owner: 'libvirt-qemu' },
      macvtap: { manage: true },
      reachability: { ioError: 'close', watchdog: 'close' },
      hostdevs: { restore: true, bind: false, refused: 'warn' },
      limits: { waitSeconds: 20 },
      settings: { refusedSecurity: 'fail', refused: 'warn' },
      provide: {
        bridges: { 'br-lab': { ports: ['lab.120'], mtu: 9000, vlanFiltering: true } },
        vlans: { 'lab.120': { link: 'eno2', id: 120 } },
        vfs: { ens2f0: { count: 8, unmanaged: true } },
      },
      interfaces: [
        { match: { guest: 'web-admin' }, settings: { vlan: [5] } },
        { match: { guest: 'web*', bridge: 'br0' }, settings: { vlan: [10, 20], isolated: true } },
        { match: { mac: '52:54:00:57:*' }, settings: { mtu: 1400 } },
        { match: { pf: 'ens2f0' }, settings: { spoofchk: true, trust: false, maxTxRate: 1000 } },
      ],
      rewrite: [{ match: { network: 'prod' }, portgroup: 'guests' }],
      guests: { allow: ['bridge'], bridges: ['br-lab*'], networks: [], devices: [] },
    });
  });

  test.each([
    { name: 'no file', texts: [] },
    { name: 'an empty file', texts: [''] },
    { name: 'comments only', texts: ['# bridges:\n#   br0: {}\n', '---\n# nothing\n'] },
    {
      name: 'empty sections',
      texts: ['bridges:\ntaps:\nmacvtap:\nreachability:\nhostdevs:\nprovide:\ninterfaces:\nrewrite:\nguests:\n'],
    },
    { name: 'empty parts', texts: ['provide: { bridges: , vlans: , vfs: }\nguests: { allow: , bridges: }\n'] },
    { name: 'empty mappings', texts: ['{bridges: {}, taps: {}, interfaces: []}', '{}'] },
    { name: 'a byte order mark', texts: ['\ufeff# nothing\n'] },
  ])('the defaults change nothing: $name', async ({ texts }) => {
    const config = await parse(...texts);
    expect(config).toEqual(defaultConfig);
    expect(config).toEqual({
      bridges: {},
      taps: { create: false, owner: undefined },
      macvtap: { manage: false },
      reachability: { ioError: 'close', watchdog: 'close' },
      hostdevs: { restore: false, bind: false, refused: 'fail' },
      limits: { waitSeconds: 20 },
      settings: { refusedSecurity: 'fail', refused: 'warn' },
      provide: { bridges: {}, vlans: {}, vfs: {} },
      interfaces: [],
      rewrite: [],
      guests: { allow: [], bridges: [], networks: [], devices: [] },
    });
  });

  test.each<{ name: string; text: string; expected: object }>([
    { name: 'a uid is kept as text', text: 'taps: {owner: 107}', expected: { taps: { owner: '107' } } },
    {
      name: 'a bridge with nothing after it has the defaults',
      text: 'provide:\n  bridges:\n    br1:\n',
      expected: { provide: { bridges: { br1: { ports: [], vlanFiltering: false } } } },
    },
    {
      name: 'names may look like numbers',
      text: "bridges: {10: {isolated: true}}\ninterfaces: [{match: {guest: '007'}}]",
      expected: { bridges: { 10: { isolated: true } }, interfaces: [{ match: { guest: '007' }, settings: {} }] },
    },
    {
      name: 'an alias stands for its anchor',
      text: 'bridges: {a: &on {isolated: true}, b: *on}',
      expected: { bridges: { a: { isolated: true }, b: { isolated: true } } },
    },
    {
      name: 'Windows line ends and comments between keys',
      text: 'taps:\r\n  # who\r\n  create: true # yes\r\n',
      expected: { taps: { create: true } },
    },
  ])('$name', async ({ text, expected }) => {
    expect(await parse(text)).toMatchObject(expected);
  });

  test('a bridge that is called like a property of every object is only there if it is written', async () => {
    const { bridges } = await parse('bridges: {br0: {}}');
    expect(bridges.constructor).toBeUndefined();
    const odd = await parse('bridges: {__proto__: {isolated: true}, toString: {isolated: true}}');
    for (const config of [odd, reviveConfig(JSON.parse(JSON.stringify(odd)))]) {
      expect(Object.keys(config.bridges)).toEqual(['__proto__', 'toString']);
      expect(config.bridges['toString' as string]?.isolated).toBe(true);
      expect(config.bridges.constructor).toBeUndefined();
    }
  });
});

describe('several files', () => {
  test.each<{ name: string; texts: string[]; expected: object }>([
    {
      name: 'mappings are merged key by key, the later value wins',
      texts: ['bridges: {a: {isolated: true, uplinkVlans: true}}', 'bridges: {a: {isolated: false}, b: {}}'],
      expected: { bridges: { a: { isolated: false, uplinkVlans: true }, b: { isolated: false } } },
    },
    {
      name: 'lists follow each other',
      texts: ['interfaces: [{match: {guest: a}}]', '', 'interfaces: [{match: {guest: b}}, {match: {}}]'],
      expected: { interfaces: [{ match: { guest: 'a' } }, { match: { guest: 'b' } }, { match: {} }] },
    },
    {
      name: 'what a list has twice then is once in the result',
      texts: ['guests: {allow: [mtu, vlan], bridges: [a]}', 'guests: {allow: [vlan, bridge], bridges: [a]}'],
      expected: { guests: { allow: ['mtu', 'vlan', 'bridge'], bridges: ['a'] } },
    },
    {
      name: 'an empty section takes nothing away',
      texts: ['taps: {create: true}\nbridges: {a: {isolated: true}}', 'taps:\nbridges: {a: }'],
      expected: { taps: { create: true }, bridges: { a: { isolated: true } } },
    },
    {
      name: 'and is filled by a later one',
      texts: ['taps:', 'taps: {create: true}'],
      expected: { taps: { create: true } },
    },
    {
      name: 'one part may be described in several',
      texts: ['provide: {vlans: {v: {link: eth0}}}', 'provide: {vlans: {v: {id: 7}}}'],
      expected: { provide: { vlans: { v: { link: 'eth0', id: 7 } } } },
    },
  ])('$name', async ({ texts, expected }) => {
    expect(await parse(...texts)).toMatchObject(expected);
  });

  test('a value that a later file replaces is judged all the same', async () => {
    expect(await mistakes('taps: {create: 1}', 'taps: {create: true}')).toEqual([
      'a.yaml:1: taps.create: expected true or false, found 1',
    ]);
  });

  test('each mistake is told with the place in its own file', async () => {
    const rules = 'interfaces:\n  - match: {}\n';
    expect(await mistakes(rules, `${rules}  - mtu: 1\n`, 'provide:\n  vlans:\n    v: {link: eth0}\n')).toEqual([
      'b.yaml:3: interfaces[1].mtu: expected a whole number from 68 to 65535, found 1',
      "b.yaml:3: interfaces[1]: 'match' is missing",
      "c.yaml:3: provide.vlans.v: 'id' is missing",
    ]);
  });

  test('of a file that is not sound YAML nothing more is said, the others are judged', async () => {
    expect(await mistakes('a: b: c\nx: 1', 'taps: 1', 'provide: {vlans: {v: {id: 1}}}')).toEqual([
      'a.yaml:1: Nested mappings are not allowed in compact mappings',
      'b.yaml:1: taps: expected a mapping, found 1',
    ]);
  });
});

const linkName =
  "a link name (1 to 15 visible ASCII characters without '/', ':' and '%', not '.' or '..', no '-' in front)";
const mtu = 'a whole number from 68 to 65535';

describe('mistakes', () => {
  test.each([
    { text: 'bridgs: {}', line: "1: bridgs: unknown key 'bridgs' (did you mean 'bridges'?)" },
    {
      text: 'bridges:\n  br0.10:\n    keep_forwarding_table: true',
      line: `3: bridges["br0.10"].keep_forwarding_table: unknown key 'keep_forwarding_table' (did you mean 'keepForwardingTable'?)`,
    },
    { text: 'taps: {zebra: 1}', line: "1: taps.zebra: unknown key 'zebra' (known: create, owner)" },
    {
      text: 'interfaces:\n- match: {}\n  vlans: 1',
      line: "3: interfaces[0].vlans: unknown key 'vlans' (did you mean 'vlan'?)",
    },
    {
      text: '<<: {}',
      line: '1: ["<<"]: unknown key \'<<\' (known: bridges, taps, macvtap, reachability, hostdevs, limits, settings, provide, interfaces, rewrite, guests)',
    },
    { text: '- a', line: '1: expected a mapping of sections, found a list' },
    { text: '\n\nhello', line: "3: expected a mapping of sections, found 'hello'" },
    { text: 'bridges: [br0]', line: '1: bridges: expected a mapping from bridge names to settings, found a list' },
    { text: 'taps:\n  create: yes', line: "2: taps.create: expected true or false, found 'yes'" },
    { text: 'macvtap: {manage: }', line: '1: macvtap.manage: expected true or false, found nothing' },
    { text: 'taps: {owner: [x]}', line: '1: taps.owner: expected a user name or a uid, found a list' },
    { text: 'taps: {owner: -1}', line: '1: taps.owner: expected a user name or a uid, found -1' },
    { text: "taps: {owner: 'a b'}", line: "1: taps.owner: expected a user name or a uid, found 'a b'" },
    { text: 'interfaces: {match: {}}', line: '1: interfaces: expected a list of rules, found a mapping' },
    { text: 'interfaces: [web]', line: "1: interfaces[0]: expected a mapping with 'match' and settings, found 'web'" },
    { text: 'interfaces: [{vlan: 5}]', line: "1: interfaces[0]: 'match' is missing" },
    {
      text: 'interfaces:\n- match:\n',
      line: '2: interfaces[0].match: expected a mapping of patterns ({} fits everything), found nothing',
    },
    {
      text: 'interfaces: [{match: {guest: 7}}]',
      line: "1: interfaces[0].match.guest: expected a name, or a pattern such as 'web*', found 7",
    },
    {
      text: 'interfaces: [{match: {mac: web}}]',
      line: "1: interfaces[0].match.mac: expected a MAC address, or a pattern such as '52:54:00:*', found 'web'",
    },
    { text: 'interfaces: [{match: {}, mtu: 67}]', line: `1: interfaces[0].mtu: expected ${mtu}, found 67` },
    { text: 'interfaces: [{match: {}, mtu: 65536}]', line: `1: interfaces[0].mtu: expected ${mtu}, found 65536` },
    { text: "interfaces: [{match: {}, mtu: '1500'}]", line: `1: interfaces[0].mtu: expected ${mtu}, found '1500'` },
    { text: 'interfaces: [{match: {}, mtu: 68.5}]', line: `1: interfaces[0].mtu: expected ${mtu}, found 68.5` },
    {
      text: 'interfaces: [{match: {}, vlan: 0}]',
      line: '1: interfaces[0].vlan: expected a VLAN id from 1 to 4094, or a list of different ones, found 0',
    },
    {
      text: 'interfaces: [{match: {}, vlan: []}]',
      line: '1: interfaces[0].vlan: expected a VLAN id from 1 to 4094, or a list of different ones, found an empty list',
    },
    {
      text: 'interfaces:\n- match: {}\n  vlan:\n  - 1\n  - 4095',
      line: '5: interfaces[0].vlan[1]: expected a VLAN id from 1 to 4094, found 4095',
    },
    { text: 'interfaces: [{match: {}, vlan: [1, 1]}]', line: '1: interfaces[0].vlan[1]: is in the list twice' },
    { text: 'provide: {vlans: {v: {id: 7}}}', line: "1: provide.vlans.v: 'link' is missing" },
    {
      text: 'provide: {vlans: {v: }}',
      line: "1: provide.vlans.v: expected a mapping with 'link' and 'id', found nothing",
    },
    {
      text: 'provide: {bridges: {b: {ports: [..]}}}',
      line: `1: provide.bridges.b.ports[0]: expected ${linkName}, found '..'`,
    },
    { text: "bridges: {'a b': {}}", line: `1: bridges["a b"]: expected ${linkName} as key, found 'a b'` },
    {
      text: 'guests: {allow: [vlan, mac]}',
      line: "1: guests.allow[1]: expected one of bridge, vlan, isolated, keepForwardingTable, mtu, trust, spoofchk, linkState, maxTxRate, minTxRate, vlanQos, vlanProto, queryRss, announce, network, portgroup, dev, mode, target, alias, vfs, found 'mac'",
    },
    { text: 'guests: {bridges: br0}', line: "1: guests.bridges: expected a list of bridge names, found 'br0'" },
    { text: 'taps: {}\nmacvtap: {}\n"taps": {}', line: '3: taps: given twice, first in line 1' },
    { text: 'taps: {}\n---\ntaps: {}', line: '2: a second document begins here' },
    { text: 'taps: !mine {}', line: '1: Unresolved tag: !mine' },
    { text: 'taps:\n\tcreate: true', line: '2: Tabs are not allowed as indentation' },
    { text: 'taps: *none', line: "1: taps: there is no anchor '&none' before this alias" },
    { text: 'taps: &a {create: *a}', line: /^1: taps\.create.*: nested more than 16 levels deep$/ },
    { text: `x: ${'['.repeat(9000)}`, line: '1: nested too deeply' },
    { text: `a: 1\n${'- '.repeat(100_000)}`, line: '2: the line is longer than 10000 characters' },
    { text: `# ${'x\n#'.repeat(400_000)}`, line: '1: the file is larger than 1048576 bytes' },
    { text: 'taps: {}\n# \ufffd', line: '2: the text is not UTF-8' },
    {
      text: 'bridges: {"\\e[2J": {}}',
      line: `1: bridges["\\u001b[2J"]: expected ${linkName} as key, found '\\u001b[2J'`,
    },
  ])('$text.length: $line', async ({ text, line }) => {
    const found = await mistakes(text);
    if (typeof line === 'string') expect(found).toEqual([`a.yaml:${line}`]);
    else expect(found.map(mistake => mistake.replace('a.yaml:', ''))).toEqual([expect.stringMatching(line)]);
  });

  test('all of them at once, in the order of the file', async () => {
    const found = await mistakes('nix: 1\ntaps: {create: 1, owner: 2}\nprovide:\n  vlans:\n    v: {}\nguests: 1\n');
    expect(found.map(line => line.split(': ').slice(0, 2).join(' '))).toEqual([
      'a.yaml:1 nix',
      'a.yaml:2 taps.create',
      'a.yaml:5 provide.vlans.v',
      'a.yaml:5 provide.vlans.v',
      'a.yaml:6 guests',
    ]);
  });

  test('aliases cannot make a small file large', async () => {
    const levels = 'abcdefgh'.split('').map((name, index, all) => {
      const content =
        index === 0
          ? 'x'
          : Array(9)
              .fill(`*${all[index - 1]}`)
              .join(', ');
      return `${name}: &${name} [${content}]`;
    });
    expect(await mistakes(levels.join('\n'))).toEqual([expect.stringMatching(/: more than 100 aliases$/)]);
    const wide = `bridges: &x [\n${'  1,\n'.repeat(60_000)}  ]\ntaps: *x`;
    expect(await mistakes(wide)).toEqual([expect.stringMatching(/: more than 100000 values$/)]);
  });
});

describe('the schema', () => {
  test('tells the defaults that the program has', () => {
    const { bridges, taps, macvtap, reachability, hostdevs, limits, settings, provide, interfaces, rewrite, guests } =
      schema.properties;
    const defaultsOf = (properties: object) =>
      Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, value.default]));
    expect(bridges.default).toEqual(defaultConfig.bridges);
    expect(defaultsOf(taps.properties)).toEqual(defaultConfig.taps);
    expect(defaultsOf(macvtap.properties)).toEqual(defaultConfig.macvtap);
    expect(defaultsOf(reachability.properties)).toEqual(defaultConfig.reachability);
    expect(defaultsOf(hostdevs.properties)).toEqual(defaultConfig.hostdevs);
    expect(defaultsOf(limits.properties)).toEqual(defaultConfig.limits);
    expect(defaultsOf(settings.properties)).toEqual(defaultConfig.settings);
    expect(defaultsOf(provide.properties)).toEqual(defaultConfig.provide);
    expect(interfaces.default).toEqual(defaultConfig.interfaces);
    expect(rewrite.default).toEqual(defaultConfig.rewrite);
    expect(defaultsOf(guests.properties)).toEqual(defaultConfig.guests);
  });

  test('tells those of a part', async () => {
    const { bridges, provide } = await parse('bridges: {b: }\nprovide: {bridges: {b: }}');
    const defaultsOf = (properties: object) =>
      Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, value.default]));
    expect(defaultsOf(schema.$defs.bridge.properties)).toEqual(bridges.b);
    expect(defaultsOf(schema.$defs.providedBridge.properties)).toEqual(provide.bridges.b);
  });

  test('knows the settings of a rule, and describes every key', () => {
    const { match, final: _, ...settings } = schema.$defs.rule.properties;
    expect(Object.keys(settings)).toEqual([...interfaceSettings]);
    expect(schema.properties.guests.properties.allow.items.enum).toEqual([...interfaceSettings, ...guestPlaces]);
    const keys = (part: object): [string, { description?: string }][] =>
      Object.entries(part).flatMap(([name, value]) =>
        typeof value !== 'object' || value === null
          ? []
          : [...(name === 'properties' ? Object.entries(value as object) : []), ...keys(value)],
      );
    expect(keys(schema).filter(([, { description }]) => description === undefined)).toEqual([]);
    expect(match.description).toBeDefined();
  });

  test.each([
    ['br0', true],
    ['a', true],
    ['abcdefghijklmno', true],
    ['abcdefghijklmnop', false],
    ['', false],
    ['.', false],
    ['..', false],
    ['...', true],
    ['-x', false],
    ['x-', true],
    ['a/b', false],
    ['a:b', false],
    ['br%d', false],
    ['a b', false],
    ['a\n', false],
    ['a\u00a0', false],
    ['br0.100@x', true],
  ])('a link name: %j %s', (name, expected) => {
    expect(isLinkName(name)).toBe(expected);
    expect(new RegExp(schema.$defs.linkName.pattern, 'u').test(name)).toBe(expected);
  });
});
