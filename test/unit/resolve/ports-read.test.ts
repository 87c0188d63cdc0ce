import { expect, test } from 'vitest';
import { readDomain } from '../../../src/model/domain.ts';
import { resolveGuest } from '../../../src/resolve/guest.ts';
import { oldestLibvirtVersion } from '../../../src/resolve/version.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { network } from '../../helpers/documents.ts';

/** How often a network's ports are read for a guest that has two interfaces in it. */
function portsRead(forward: string): number {
  let reads = 0;
  const state = {
    network: network(`<network><name>n</name>${forward}</network>`),
    active: true,
    get ports() {
      reads++;
      return [];
    },
  };
  const iface = (mac: number) =>
    `<interface type='network'><mac address='52:54:00:00:00:0${mac}'/><source network='n'/></interface>`;
  const domain = readDomain(parseXml(`<domain><name>g</name><devices>${iface(1)}${iface(2)}</devices></domain>`));
  resolveGuest(domain, { findNetwork: () => state, version: () => oldestLibvirtVersion });
  return reads;
}

test('the ports of a bridge, of which there may be a thousand, are not read: nothing is counted there', () => {
  expect(portsRead("<forward mode='bridge'/><bridge name='br0'/>")).toBe(0);
  expect(portsRead("<forward/><bridge name='virbr7'/>")).toBe(0);
});

test('those of a pool are', () => {
  expect(portsRead("<forward mode='private'><interface dev='e1'/><interface dev='e2'/></forward>")).toBeGreaterThan(0);
});
