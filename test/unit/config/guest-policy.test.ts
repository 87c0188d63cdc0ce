import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { overruledSettings } from '../../../src/config/guest-policy.ts';
import { readRequests } from '../../../src/config/requests.ts';
import type { Config } from '../../../src/config/types.ts';
import { readDomain } from '../../../src/model/domain.ts';
import { askedOf, weigh } from '../../../src/plan/asked.ts';
import { isPassive } from '../../../src/plan/plan.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { domainXml, guestUuid } from '../../helpers/documents.ts';

const mac = '52:54:00:00:00:01';

async function config(text: string): Promise<Config> {
  const result = await parseConfig([{ file: 'test', text }]);
  if ('mistakes' in result) throw new Error(result.mistakes.join('\n'));
  return result.config;
}

const metadata = (attributes: string) =>
  `<metadata><interfaces xmlns='urn:actualnet:guest:1'><interface mac='${mac}' ${attributes}/></interfaces></metadata>`;

/** What a guest is granted of `attributes`, and how the rest is refused. */
async function ask(guests: string, attributes: string) {
  const { guests: policy } = await config(`guests: { ${guests} }`);
  const xml = domainXml('').replace('<devices>', `${metadata(attributes)}<devices>`);
  const { requests, refusals } = readRequests(readDomain(parseXml(xml)), policy);
  const { settings = {}, place = {} } = requests[0] ?? {};
  return { granted: { ...settings, ...place }, refusals };
}

describe('bounds', () => {
  const nothing = 'none: guests may choose none';
  test.each([
    { guests: 'allow: [vlan], vlans: [100-199, 7]', attributes: "vlan='7,100,199'", granted: { vlan: [7, 100, 199] } },
    { guests: 'allow: [vlan], vlans: [100-199, 7]', attributes: "vlan='100,200'", expected: 'one of 100-199, 7' },
    { guests: 'allow: [vlan], vlans: [7]', attributes: "vlan='70'", expected: 'one of 7' },
    { guests: 'allow: [vlan], vlans: []', attributes: "vlan='7'", expected: nothing },
    { guests: 'allow: [vlan]', attributes: "vlan='4094'", granted: { vlan: [4094] } },
    {
      guests: 'allow: [announce], addresses: [192.0.2.0/25, 10.0.0.1]',
      attributes: "announce='192.0.2.127,10.0.0.1'",
      granted: { announce: ['192.0.2.127', '10.0.0.1'] },
    },
    {
      guests: 'allow: [announce], addresses: [192.0.2.0/25]',
      attributes: "announce='192.0.2.128'",
      expected: 'one of 192.0.2.0/25',
    },
    {
      guests: 'allow: [announce], addresses: [10.0.0.1]',
      attributes: "announce='10.0.0.2'",
      expected: 'one of 10.0.0.1',
    },
    {
      guests: 'allow: [announce], addresses: [0.0.0.0/0]',
      attributes: "announce='203.0.113.9'",
      granted: { announce: ['203.0.113.9'] },
    },
    {
      guests: 'allow: [announce], addresses: [128.0.0.0/1]',
      attributes: "announce='127.0.0.1'",
      expected: 'one of 128.0.0.0/1',
    },
    {
      guests: "allow: [portgroup], portgroups: ['web*']",
      attributes: "portgroup='web-a'",
      granted: { portgroup: 'web-a' },
    },
    { guests: "allow: [portgroup], portgroups: ['web*']", attributes: "portgroup='admin'", expected: 'one of web*' },
    { guests: "allow: [target], targets: ['web*']", attributes: "target='web0'", granted: { target: 'web0' } },
    { guests: "allow: [target], targets: ['web*']", attributes: "target='eth0'", expected: 'one of web*' },
    { guests: 'allow: [target]', attributes: "target='vnet3'", expected: "none of libvirt's own" },
    { guests: "allow: [alias], aliases: ['ua-web*']", attributes: "alias='ua-db'", expected: 'one of ua-web*' },
    { guests: 'allow: [mode]', attributes: "mode='vepa'", granted: { mode: 'vepa' } },
    { guests: 'allow: [mode]', attributes: "mode='passthrough'", expected: 'one of vepa, private, bridge' },
    {
      guests: 'allow: [mode], modes: [passthrough]',
      attributes: "mode='passthrough'",
      granted: { mode: 'passthrough' },
    },
    { guests: 'allow: [mode], modes: [passthrough]', attributes: "mode='bridge'", expected: 'one of passthrough' },
    { guests: 'allow: [mtu], most: { mtu: 1500 }', attributes: "mtu='1500'", granted: { mtu: 1500 } },
    { guests: 'allow: [mtu], most: { mtu: 1500 }', attributes: "mtu='9000'", expected: 'at most 1500' },
    {
      guests: 'allow: [maxTxRate], most: { maxTxRate: 100 }',
      attributes: "maxTxRate='100'",
      granted: { maxTxRate: 100 },
    },
    {
      guests: 'allow: [maxTxRate], most: { maxTxRate: 100 }',
      attributes: "maxTxRate='0'",
      expected: 'a limit of at most 100',
    },
    { guests: 'allow: [minTxRate], most: { minTxRate: 0 }', attributes: "minTxRate='0'", granted: { minTxRate: 0 } },
    { guests: 'allow: [vlanQos], most: { vlanQos: 3 }', attributes: "vlanQos='7'", expected: 'at most 3' },
  ])('$guests: $attributes', async ({ guests, attributes, granted = {}, expected }) => {
    const found = await ask(guests, attributes);
    expect(found.granted).toEqual(granted);
    expect(found.refusals).toEqual(expected === undefined ? [] : [expect.stringMatching(/./)]);
    if (expected !== undefined) expect(found.refusals[0]?.split(', expected ')[1]).toBe(expected);
  });
});

describe('bounds are written', () => {
  const isSound = async (guests: string) =>
    !('mistakes' in (await parseConfig([{ file: 'test', text: `guests: { ${guests} }` }])));

  test.each(['5', '4094', '1-4094', '100-100'])('vlans: %s', async vlan => {
    expect(await isSound(`vlans: [${vlan}]`)).toBe(true);
  });
  test.each(['0', '4095', '1-4095', '0-5', '5-', '-5', '05-6', 'a-b', '5-6-7', "'5'"])('not vlans: %s', async vlan => {
    expect(await isSound(`vlans: [${vlan}]`)).toBe(false);
  });
  test.each(['192.0.2.0', '192.0.2.0/24', '0.0.0.0/0', '255.255.255.255/32'])('addresses: %s', async address => {
    expect(await isSound(`addresses: ['${address}']`)).toBe(true);
  });
  test.each([
    '192.0.2',
    '192.0.2.0/33',
    '192.0.2.0/',
    '192.0.2.256',
    '192.0.2.0.1',
    '1.2.3./4',
    '::1',
    '192.0.2.0/024',
  ])('not addresses: %s', async address => {
    expect(await isSound(`addresses: ['${address}']`)).toBe(false);
  });
  test.each([
    'modes: [hostdev]',
    'most: { mtu: 10 }',
    'most: { trust: 1 }',
    'loosen: [trust]',
    'rules: [{ allow: [mtu] }]',
    'rules: [{ match: { mac: x } }]',
    'rules: [{ match: {}, rules: [] }]',
    "rules: [{ match: { uuid: 'xyz' } }]",
  ])('not %s', async guests => {
    expect(await isSound(guests)).toBe(false);
  });
});

describe('of several rules for guests', () => {
  test.each([
    {
      name: 'the first that fits counts',
      rules: "{ match: { guest: 'g*' }, allow: [mtu] }, { match: {}, allow: [vlan] }",
      granted: { mtu: 1400 },
    },
    { name: 'in place of what is said of all', rules: '{ match: { guest: g1 } }', granted: {} },
    { name: 'one for another guest does not', rules: '{ match: { guest: g2 }, allow: [mtu] }', granted: { vlan: [7] } },
    {
      name: 'by uuid',
      rules: `{ match: { uuid: '${guestUuid.toUpperCase()}' }, allow: [mtu] }`,
      granted: { mtu: 1400 },
    },
    {
      name: 'by a pattern of uuids',
      rules: "{ match: { uuid: '0b0e1f52-*' }, allow: [mtu, vlan] }",
      granted: { mtu: 1400, vlan: [7] },
    },
    {
      name: 'everything must fit',
      rules: "{ match: { guest: g1, uuid: 'f*' }, allow: [mtu] }",
      granted: { vlan: [7] },
    },
    { name: 'each has bounds of its own', rules: '{ match: {}, allow: [vlan], vlans: [8] }', granted: {} },
  ])('$name', async ({ rules, granted }) => {
    const found = await ask(`allow: [vlan], rules: [${rules}]`, "mtu='1400' vlan='7'");
    expect(found.granted).toEqual(granted);
  });

  test('an unknown uuid fits no pattern', async () => {
    const { guests } = await config("guests: { rules: [{ match: { uuid: '*' }, allow: [mtu] }] }");
    const xml = domainXml('')
      .replace('<devices>', `${metadata("mtu='1400'")}<devices>`)
      .replace(/<uuid>.*<\/uuid>/, '');
    expect(readRequests(readDomain(parseXml(xml)), guests).requests).toEqual([{ mac, settings: {} }]);
  });

  test('those that allow something keep a configuration from being passive', async () => {
    expect(isPassive(await config('guests: { rules: [{ match: {}, allow: [mtu] }] }'))).toBe(false);
    expect(isPassive(await config('guests: { rules: [{ match: {} }] }'))).toBe(true);
  });
});

/** The settings of one bridge interface, and what was refused. */
async function settle(text: string, attributes: string) {
  const configured = await config(text);
  const domain = readDomain(parseXml(domainXml('').replace('<devices>', `${metadata(attributes)}<devices>`)));
  const { requests } = readRequests(domain, configured.guests);
  const { isolated } = configured.bridges.br0 ?? {};
  const asked = askedOf({ guest: domain.name, config: configured, requests }, { mac, bridge: 'br0' });
  return weigh(isolated === undefined ? {} : { isolated }, asked);
}

const stricter = 'stays as it is configured: the configuration lets guests make it stricter only';
const isFinal = 'stays as it is configured: a final rule of the configuration sets it';

describe('what a guest asks for beside what is configured', () => {
  const allow = 'guests: { allow: [isolated, spoofchk, vlan, mtu] }\n';
  test.each([
    {
      name: 'isolated by the bridge',
      text: 'bridges: { br0: { isolated: true } }',
      asks: "isolated='no'",
      settings: { isolated: true },
      refused: [`'isolated' ${stricter}`],
    },
    {
      name: 'isolated by a rule',
      text: 'interfaces: [{ match: {}, isolated: true }]',
      asks: "isolated='no'",
      settings: { isolated: true },
      refused: [`'isolated' ${stricter}`],
    },
    {
      name: 'not isolated',
      text: 'bridges: { br0: {} }',
      asks: "isolated='yes'",
      settings: { isolated: true },
      refused: [],
    },
    {
      name: 'not isolated, and not to be',
      text: 'bridges: { br0: {} }',
      asks: "isolated='no'",
      settings: { isolated: false },
      refused: [],
    },
    {
      name: 'spoof checking as the card does it',
      text: 'interfaces: []',
      asks: "spoofchk='no'",
      settings: {},
      refused: [`'spoofchk' ${stricter}`],
    },
    {
      name: 'spoof checking set',
      text: 'interfaces: [{ match: {}, spoofchk: true }]',
      asks: "spoofchk='no'",
      settings: { spoofchk: true },
      refused: [`'spoofchk' ${stricter}`],
    },
    {
      name: 'no spoof checking',
      text: 'interfaces: [{ match: {}, spoofchk: false }]',
      asks: "spoofchk='yes'",
      settings: { spoofchk: true },
      refused: [],
    },
    {
      name: 'no spoof checking, and none to be',
      text: 'interfaces: [{ match: {}, spoofchk: false }]',
      asks: "spoofchk='no'",
      settings: { spoofchk: false },
      refused: [],
    },
    {
      name: 'a VLAN',
      text: 'interfaces: [{ match: {}, vlan: 5 }]',
      asks: "vlan='7'",
      settings: { vlan: [7] },
      refused: [],
    },
    {
      name: 'a final VLAN',
      text: 'interfaces: [{ match: {}, final: true, vlan: 5 }]',
      asks: "vlan='7' mtu='1400'",
      settings: { vlan: [5], mtu: 1400 },
      refused: [`'vlan' ${isFinal}`],
    },
    {
      name: 'the same final VLAN',
      text: 'interfaces: [{ match: {}, final: true, vlan: 5 }]',
      asks: "vlan='5'",
      settings: { vlan: [5] },
      refused: [],
    },
    {
      name: 'a final rule behind the one that fits',
      text: 'interfaces: [{ match: {}, mtu: 1300 }, { match: {}, final: true, vlan: 5 }]',
      asks: "vlan='7'",
      settings: { vlan: [7], mtu: 1300 },
      refused: [],
    },
    {
      name: 'isolation that a final rule takes away',
      text: 'interfaces: [{ match: {}, final: true, isolated: false }]',
      asks: "isolated='yes'",
      settings: { isolated: false },
      refused: [`'isolated' ${isFinal}`],
    },
  ])('$name, and $asks', async ({ text, asks, settings, refused }) => {
    const found = await settle(`${allow}${text}`, asks);
    const { isolated, spoofchk, vlan, mtu } = found.settings;
    expect({ isolated, spoofchk, vlan, mtu }).toEqual(settings);
    expect(found.refused).toEqual(refused);
  });

  test('may be weaker where the configuration says so, but against a final rule', async () => {
    const loose = 'guests: { allow: [isolated, spoofchk], loosen: [isolated, spoofchk] }\n';
    const rule = 'interfaces: [{ match: {}, isolated: true, spoofchk: true';
    const asks = "isolated='no' spoofchk='no'";
    expect(await settle(`${loose}${rule} }]`, asks)).toEqual({
      settings: { isolated: false, spoofchk: false },
      refused: [],
    });
    expect(await settle(`${loose}${rule}, final: true }]`, asks)).toEqual({
      settings: { isolated: true, spoofchk: true },
      refused: [`'isolated' ${isFinal}`, `'spoofchk' ${isFinal}`],
    });
    const some = 'guests: { rules: [{ match: {}, allow: [isolated, spoofchk], loosen: [spoofchk] }] }\n';
    expect((await settle(`${some}${rule} }]`, asks)).settings).toEqual({ isolated: true, spoofchk: false });
  });

  test('is no matter where nothing is wished', () => {
    expect(overruledSettings({ settings: { isolated: true }, final: { isolated: true } }, { settings: {} }).size).toBe(
      0,
    );
  });
});
