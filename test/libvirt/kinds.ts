import { type DirectMode, directModes } from '../../src/model/interface.ts';
import { hostBridgeNetwork, interfaceXml, macvtapNetwork, onNetwork, ownBridgeNetwork } from './documents.ts';
import { missingInKernel } from './prerequisites.ts';

/** One kind of interface: the networks it needs and the guest's interfaces. */
export interface Kind {
  readonly name: string;
  /** For the guest's name. */
  readonly guest: string;
  readonly networks?: readonly string[];
  readonly interfaces: readonly string[];
  /** libvirt takes a passthrough device down when it stops the CPUs, and so leaves it when the guest is saved. */
  readonly downAfterSave?: string;
  /** Why it cannot be tried here. */
  readonly missing?: string | undefined;
}

const nat = `<forward mode='nat'/><ip address='10.78.0.1' netmask='255.255.255.0'><dhcp><range start='10.78.0.10' end='10.78.0.20'/></dhcp></ip>`;
/** Passthrough wants a device for itself. */
const lowerDevice = { bridge: 'eth1', vepa: 'eth1', private: 'eth1', passthrough: 'eth2' } as const;

export const kinds: readonly Kind[] = [
  {
    name: 'isolated network',
    guest: 'isolated',
    networks: [ownBridgeNetwork('isolated', { bridge: `name='virbr1'` })],
    interfaces: [onNetwork('isolated', 0x01)],
  },
  {
    name: 'nat network with a user alias',
    guest: 'nat',
    networks: [ownBridgeNetwork('nat', { bridge: `name='virbr2'`, inside: nat })],
    interfaces: [onNetwork('nat', 0x02, { inside: `<alias name='ua-nat'/>` })],
    missing: missingInKernel.nat,
  },
  {
    name: `isolated network with macTableManager='libvirt'`,
    guest: 'mtm',
    networks: [ownBridgeNetwork('mtm', { bridge: `name='virbr3' macTableManager='libvirt'` })],
    interfaces: [onNetwork('mtm', 0x03)],
    missing: missingInKernel.vlanFiltering,
  },
  {
    name: 'network on a host bridge, with a portgroup',
    guest: 'hostbridge',
    networks: [hostBridgeNetwork('hostbridge', 'br0', `<portgroup name='gold'/>`)],
    interfaces: [onNetwork('hostbridge', 0x04, { source: `portgroup='gold'` })],
  },
  { name: 'bridge', guest: 'bridge', interfaces: [interfaceXml('bridge', 0x05, `<source bridge='br0'/>`)] },
  ...directModes.map((mode, index) => ({
    name: `macvtap network in mode ${mode}`,
    guest: `macvtap-${mode}`,
    networks: [macvtapNetwork(`macvtap-${mode}`, mode, lowerDevice[mode])],
    interfaces: [onNetwork(`macvtap-${mode}`, 0x10 + index)],
    ...(mode === 'passthrough' ? { downAfterSave: lowerDevice[mode] } : {}),
    missing: missingInKernel.macvtap,
  })),
  {
    name: 'direct in the modes bridge, vepa and private',
    guest: 'direct',
    interfaces: (['bridge', 'vepa', 'private'] as const).map((mode, index) => direct(mode, 0x20 + index)),
    missing: missingInKernel.macvtap,
  },
  {
    name: 'direct in mode passthrough',
    guest: 'direct-passthrough',
    interfaces: [direct('passthrough', 0x23)],
    downAfterSave: lowerDevice.passthrough,
    missing: missingInKernel.macvtap,
  },
  {
    name: 'ethernet, its tap made by libvirt',
    guest: 'ethernet',
    interfaces: [interfaceXml('ethernet', 0x30, `<target dev='guesttap0'/>`)],
  },
  {
    name: 'ethernet on a tap that was there before',
    guest: 'premade',
    interfaces: [interfaceXml('ethernet', 0x31, `<target dev='tap0' managed='no'/>`)],
  },
  { name: 'user', guest: 'user', interfaces: [interfaceXml('user', 0x32)] },
  {
    name: 'several kinds in one guest',
    guest: 'several',
    networks: [ownBridgeNetwork('several', { bridge: `name='virbr4'` }), hostBridgeNetwork('several-bridge', 'br0')],
    interfaces: [
      onNetwork('several', 0x40),
      interfaceXml('bridge', 0x41, `<source bridge='br0'/><alias name='ua-second'/>`),
      onNetwork('several-bridge', 0x42),
      onNetwork('several', 0x43),
      interfaceXml('user', 0x44),
    ],
  },
];

function direct(mode: DirectMode, number: number): string {
  return interfaceXml('direct', number, `<source dev='${lowerDevice[mode]}' mode='${mode}'/>`);
}
