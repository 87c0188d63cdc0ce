import { expect, test } from 'vitest';
import { readNetworkPort } from '../../../src/model/network-port.ts';
import { claimPort } from '../../../src/resolve/claim.ts';
import { type CountedPort, countConnections, type NetworkState } from '../../../src/resolve/network-state.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { network, resolve, running } from '../../helpers/documents.ts';

let made = 0;

/** A stored port; every one has its own uuid. */
function port(plug: string, settings = ''): CountedPort {
  const uuid = `0b0e1f52-0000-4000-8000-${String(++made).padStart(12, '0')}`;
  const owner = '<owner><name>g1</name><uuid>0b0e1f52-0000-4000-8000-0000000000aa</uuid></owner>';
  const mac = "<mac address='52:54:00:00:00:11'/>";
  return readNetworkPort(
    parseXml(`<networkport><uuid>${uuid}</uuid>${owner}${mac}${settings}${plug}</networkport>`).root,
  );
}
const onBridge = (type: string) => port(`<plug type='${type}' bridge='br0'/>`);
const onDev = (dev: string, mode: string, settings = '') =>
  port(`<plug type='direct' dev='${dev}' mode='${mode}'/>`, settings);
const onVf = (fn: number) =>
  port(`<plug type='hostdev-pci' managed='yes'><address domain='0' bus='3' slot='0' function='${fn}'/></plug>`);

const qbh = "<virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport>";
const pool = "<interface dev='e1'/><interface dev='e2'/>";
const vfs = [1, 2].map(fn => `<address type='pci' domain='0' bus='3' slot='0' function='${fn}'/>`).join('');
const networks = {
  nat: "<forward/><bridge name='br0'/>",
  bridge: "<forward mode='bridge'/><bridge name='br0'/>",
  'bridge without name': `<forward mode='bridge'>${pool}</forward>`,
  private: `<forward mode='private'>${pool}</forward>`,
  vepa: `<forward mode='vepa'>${pool}</forward>`,
  passthrough: `<forward mode='passthrough'>${pool}</forward>`,
  hostdev: `<forward mode='hostdev'>${vfs}</forward>`,
} as const;
type Mode = keyof typeof networks;

const stateOf = (mode: Mode, ports: readonly CountedPort[] = [], active = true): NetworkState => ({
  network: network(`<network><name>n</name>${networks[mode]}</network>`),
  active,
  ports,
});
const refused = expect.objectContaining({ code: 'CLAIM_FAILED', message: expect.stringContaining("'n'") });

test.each([
  {
    name: 'a nat network takes its port back',
    mode: 'nat',
    claimed: onBridge('network'),
    present: [onBridge('network')],
  },
  { name: 'a bridge network takes its port back', mode: 'bridge', claimed: onBridge('bridge'), present: [] },
  {
    name: 'vepa shares a device that is in use',
    mode: 'vepa',
    claimed: onDev('e1', 'vepa'),
    present: [onDev('e1', 'vepa')],
  },
  {
    name: 'private shares a device that is in use',
    mode: 'private',
    claimed: onDev('e1', 'private'),
    present: [onDev('e1', 'private')],
  },
  {
    name: 'macvtap bridge shares a device that is in use',
    mode: 'bridge without name',
    claimed: onDev('e2', 'bridge'),
    present: [onDev('e2', 'bridge')],
  },
  {
    name: 'passthrough takes back a free device',
    mode: 'passthrough',
    claimed: onDev('e2', 'passthrough'),
    present: [onDev('e1', 'passthrough')],
  },
  {
    name: 'private with 802.1Qbh takes back a free device',
    mode: 'private',
    claimed: onDev('e2', 'private', qbh),
    present: [onDev('e1', 'private', qbh)],
  },
  { name: 'hostdev takes back a free VF', mode: 'hostdev', claimed: onVf(2), present: [onVf(1)] },
] as { name: string; mode: Mode; claimed: CountedPort; present: CountedPort[] }[])('claim: $name', given => {
  const state = claimPort(stateOf(given.mode, given.present), given.claimed);
  expect(state.ports).toEqual([...given.present, given.claimed]);
});

test.each([
  { name: 'an inactive network', state: stateOf('nat', [], false), claimed: onBridge('network') },
  { name: 'a network that has no bridge any more', state: stateOf('vepa'), claimed: onBridge('bridge') },
  { name: 'a device that is not in the pool', state: stateOf('vepa'), claimed: onDev('e9', 'vepa') },
  { name: 'a macvtap device in a network without pool', state: stateOf('nat'), claimed: onDev('e1', 'vepa') },
  { name: 'a VF that is not in the pool', state: stateOf('hostdev'), claimed: onVf(7) },
  {
    name: 'a passthrough device in use',
    state: stateOf('passthrough', [onDev('e1', 'passthrough')]),
    claimed: onDev('e1', 'passthrough'),
  },
  {
    name: 'a private device with 802.1Qbh in use',
    state: stateOf('private', [onDev('e1', 'private')]),
    claimed: onDev('e1', 'private', qbh),
  },
  { name: 'a VF in use', state: stateOf('hostdev', [onVf(1)]), claimed: onVf(1) },
  { name: 'a port that was never plugged', state: stateOf('nat'), claimed: port('') },
])('claim: $name is refused', ({ state, claimed }) => {
  expect(() => claimPort(state, claimed)).toThrow(refused);
});

test('a claimed port keeps its recorded settings, whatever the network says now', () => {
  const vlan = "<vlan><tag id='7'/></vlan>";
  const edited = running(`<network><name>n</name>${networks.passthrough}<vlan><tag id='42'/></vlan></network>`);
  const claimed = onDev('e1', 'passthrough', vlan);
  expect(claimPort(edited, claimed).ports[0]!.vlan).toEqual({ trunk: false, tags: [{ id: 7 }] });
});

test('a claimed device is counted: the next allocation passes it over', () => {
  const state = claimPort(stateOf('passthrough'), onDev('e1', 'passthrough'));
  const iface = "<interface type='network'><source network='n'/></interface>";
  expect(resolve(iface, [state]).resolutions[0]!.actual).toMatchObject({ dev: 'e2' });
});

test.each([
  { name: 'no port', present: [], expected: [0, 0] },
  { name: 'one port', present: [onDev('e2', 'vepa')], expected: [0, 1] },
  { name: 'several ports', present: [onDev('e1', 'vepa'), onDev('e2', 'vepa'), onDev('e1', 'vepa')], expected: [2, 1] },
  { name: 'a port on another device', present: [onDev('e9', 'vepa')], expected: [0, 0] },
])('connections of a device are its ports: $name', ({ present, expected }) => {
  const state = stateOf('vepa', present);
  expect(['e1', 'e2'].map(device => countConnections(state).get(device) ?? 0)).toEqual(expected);
});
