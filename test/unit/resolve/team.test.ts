import { expect, test } from 'vitest';
import { findTeamFaults } from '../../../src/resolve/team.ts';
import { domain } from '../../helpers/documents.ts';

const persistent = (mac: string, inside = "<model type='virtio'/><alias name='ua-p'/>") =>
  `<interface type='bridge'><mac address='52:54:00:00:00:${mac}'/><source bridge='br0'/>${inside}<teaming type='persistent'/></interface>`;
const transient = (mac: string, alias = 'ua-p') =>
  `<interface type='hostdev'><mac address='52:54:00:00:00:${mac}'/><source><address type='pci' bus='3'/></source><teaming type='transient' persistent='${alias}'/></interface>`;
const hostdev = (alias = 'ua-p') =>
  `<hostdev mode='subsystem' type='pci'><source><address bus='4'/></source><teaming type='transient' persistent='${alias}'/></hostdev>`;
const plain = "<interface type='user'><mac address='52:54:00:00:00:09'/><alias name='ua-q'/></interface>";

test.each<[name: string, devices: string, faults: RegExp[]]>([
  ['a pair', persistent('01') + transient('01'), []],
  ['a pair with a plain host device', persistent('01') + hostdev(), []],
  ['no pair at all', plain, []],
  ['unequal MACs', persistent('01') + transient('02'), [/00:02: .*'ua-p' has another MAC, 52:54:00:00:00:01/]],
  ['nobody of that alias', transient('01', 'ua-z'), [/00:01: 'ua-z'.* is not there/]],
  ['somebody else of that alias', plain + transient('01', 'ua-q'), [/'ua-q'.* is no persistent member/]],
  ['a plain host device without its partner', hostdev('ua-z'), [/host device 0000:04:00\.0: 'ua-z'.* is not there/]],
  ['a persistent one alone', persistent('01'), [/00:01: no transient member/]],
  ['a persistent one without an alias', persistent('01', "<model type='virtio'/>"), [/needs an alias of its own/]],
  ['two for one', persistent('01') + transient('01') + hostdev(), [/00:01: 2 transient members name 'ua-p'/]],
  [
    'a partner that is no virtio card',
    persistent('01', "<model type='e1000e'/><alias name='ua-p'/>") + transient('01'),
    [/is no virtio card but 'e1000e'/],
  ],
  ['both of two faults', persistent('01') + transient('02', 'ua-z'), [/no transient member/, /'ua-z'.* is not there/]],
])('%s', (_, devices, faults) => {
  expect(findTeamFaults(domain(devices))).toEqual(faults.map(fault => expect.stringMatching(fault)));
});
