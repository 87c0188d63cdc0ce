import { expect, test } from 'vitest';
import { type Change, describeDoing } from '../../../src/kernel/registry.ts';
import type { PciAddress } from '../../../src/model/pci-address.ts';

const address = '0000:5e:01.0' as PciAddress;

test.each<[Pick<Change, 'subject' | 'to'>, string]>([
  [{ subject: { kind: 'vf-spoofchk', dev: 'ens1f0', vf: 0 }, to: false }, 'set VF 0 of ens1f0: spoofchk off'],
  [
    { subject: { kind: 'vf-vlan', dev: 'ens1f0', vf: 3 }, to: { id: 42, qos: 5, proto: '802.1Q' } },
    'set VF 3 of ens1f0: vlan 42 qos 5',
  ],
  [{ subject: { kind: 'up', dev: 'tap0' }, to: true }, 'bring tap0 up'],
  [{ subject: { kind: 'up', dev: 'eth1' }, to: false }, 'take eth1 down'],
  [{ subject: { kind: 'mtu', dev: 'tap0' }, to: 9000 }, 'set tap0 mtu 9000'],
  [{ subject: { kind: 'mac', dev: 'tap0' }, to: 'fe:54:00:00:00:01' }, 'set tap0 mac fe:54:00:00:00:01'],
  [{ subject: { kind: 'master', dev: 'tap0' }, to: 'br0' }, 'put tap0 into bridge br0'],
  [{ subject: { kind: 'master', dev: 'tap0' }, to: null }, 'take tap0 out of its bridge'],
  [{ subject: { kind: 'isolated', dev: 'tap0' }, to: true }, 'switch tap0 isolated on'],
  [{ subject: { kind: 'learning', dev: 'tap0' }, to: false }, 'switch tap0 learning off'],
  [{ subject: { kind: 'vlan', dev: 'tap0', id: 5 }, to: 'tagged' }, 'give tap0 vlan 5 tagged'],
  [{ subject: { kind: 'vlan', dev: 'tap0', id: 1 }, to: null }, 'take vlan 1 from tap0'],
  [{ subject: { kind: 'link', dev: 'br0' }, to: { type: 'bridge', vlanFiltering: false } }, 'make bridge br0'],
  [{ subject: { kind: 'link', dev: 'br0' }, to: null }, 'remove br0'],
  [
    { subject: { kind: 'fdb', dev: 'tap0', mac: '52:54:00:00:00:01', table: 'bridge' }, to: true },
    'add 52:54:00:00:00:01 on tap0',
  ],
  [{ subject: { kind: 'vfs', dev: 'ens1f0' }, to: 4 }, 'make 4 VFs on ens1f0'],
  [
    { subject: { kind: 'unmanaged', dev: 'ens1f0' }, to: true },
    'tell network managers to leave the VFs of ens1f0 alone',
  ],
  [
    { subject: { kind: 'unmanaged', dev: 'ens1f0' }, to: false },
    'tell network managers they may have the VFs of ens1f0',
  ],
  [
    { subject: { kind: 'driver', dev: address }, to: { driver: 'vfio-pci', override: null, mac: null } },
    'bind 0000:5e:01.0 to driver vfio-pci',
  ],
  [{ subject: { kind: 'driver', dev: address }, to: null }, 'take 0000:5e:01.0 from its driver'],
])('cannot %j is a sentence', (change, words) => {
  expect(describeDoing(change)).toBe(words);
});
