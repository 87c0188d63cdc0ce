import { expect, test } from 'vitest';
import { definitionRefusals } from '../../../src/resolve/validate.ts';
import { parseLibvirtVersion } from '../../../src/resolve/version.ts';
import { network } from '../../helpers/documents.ts';

const limits = "<bandwidth><inbound average='100'/></bandwidth>";
const portgroup = `<portgroup name='p'>${limits}</portgroup>`;
const bridge = "<bridge name='br0'/>";
const pci = "<address type='pci' domain='0' bus='3' slot='0' function='1'/>";
const pool = "<interface dev='e1'/>";
const ip = "<ip address='192.168.9.1' netmask='255.255.255.0'/>";

const places = [
  { place: 'the network', settings: limits },
  { place: 'a portgroup', settings: portgroup },
];
const bandwidths = [
  { forward: bridge, mode: 'none', ok: true },
  { forward: `<forward mode='nat'/>${bridge}`, mode: 'nat', ok: true },
  { forward: `<forward mode='route'/>${bridge}`, mode: 'route', ok: true },
  { forward: `<forward mode='open'/>${bridge}`, mode: 'open', ok: true },
  { forward: `<forward mode='bridge'/>${bridge}`, mode: 'bridge with name', ok: true },
  { forward: `<forward mode='bridge'>${pool}</forward>`, mode: 'bridge without name', ok: false },
  { forward: `<forward mode='private'>${pool}</forward>`, mode: 'private', ok: false },
  { forward: `<forward mode='vepa'>${pool}</forward>`, mode: 'vepa', ok: false },
  { forward: `<forward mode='passthrough'>${pool}</forward>`, mode: 'passthrough', ok: false },
  { forward: `<forward mode='hostdev'>${pci}</forward>`, mode: 'hostdev', ok: false },
].flatMap(row => places.map(place => ({ ...row, ...place })));

const isDefinable = (xml: string) => {
  try {
    return (
      definitionRefusals(network(`<network><name>n</name>${xml}</network>`), parseLibvirtVersion('9.0.0')).length === 0
    );
  } catch {
    return false;
  }
};

test.each(bandwidths)(
  'a bandwidth in $place of forward mode $mode may be defined: $ok',
  ({ forward, settings, ok }) => {
    expect(isDefinable(forward + settings)).toBe(ok);
  },
);

test('a mixture of interfaces and addresses in one pool cannot be defined', () => {
  expect(isDefinable(`<forward mode='hostdev'>${pool}${pci}</forward>`)).toBe(false);
  expect(isDefinable(`<forward mode='hostdev'>${pci}</forward>`)).toBe(true);
});

test.each([
  { name: 'ip', xml: ip },
  { name: 'dns', xml: "<dns><host ip='192.168.9.2'><hostname>h</hostname></host></dns>" },
  { name: 'domain', xml: "<domain name='example.org'/>" },
  { name: 'mac', xml: "<mac address='52:54:00:00:00:01'/>" },
])('<$name> can be defined in a nat network and not in a passthrough one', ({ xml }) => {
  expect(isDefinable(`<forward mode='nat'/>${bridge}${xml}`)).toBe(true);
  expect(isDefinable(`<forward mode='passthrough'>${pool}</forward>${xml}`)).toBe(false);
});
