import { expect, test } from 'vitest';
import { qemuNamespace, readCommandLine } from '../../../src/model/command-line.ts';
import { whyAtOnce } from '../../../src/plan/deferred-taps.ts';
import { parseXml } from '../../../src/xml/document.ts';

const off = 'script=no,downscript=no';

function decide(netdev: string, { card = 'virtio-net-pci,netdev=n', incoming = true } = {}): string {
  const args = ['-netdev', netdev, '-device', card].map(value => `<q:arg value='${value.replaceAll("'", '&apos;')}'/>`);
  const xml = `<domain xmlns:q='${qemuNamespace}'><q:commandline>${args.join('')}</q:commandline></domain>`;
  const commandLine = readCommandLine(parseXml(xml).root);
  return whyAtOnce(commandLine.netdevs[0]!, commandLine, incoming) ?? 'deferred';
}

/** The conditions of QEMU's proposal, each alone, and what does not matter. */
test.each([
  [`tap,id=n,ifname=t0,${off}`, {}, 'deferred'],
  ['tap,id=n,ifname=t0,script=,downscript=', {}, 'deferred'],
  ['{"type":"tap","id":"n","ifname":"t0","script":"no","downscript":""}', {}, 'deferred'],
  [`tap,id=n,ifname=t0,${off},queues=4`, {}, 'deferred'],
  [`tap,id=n,ifname=t0,${off},vhost=on,sndbuf=0,vnet_hdr=off`, {}, 'deferred'],
  [`tap,id=n,ifname=t0,${off}`, { card: 'virtio-net-device,netdev=n' }, 'deferred'],
  [`tap,id=n,ifname=t0,${off}`, { incoming: false }, 'the guest does not come from elsewhere'],
  ['tap,id=n,fd=30', {}, "it is given with 'fd'"],
  [`tap,id=n,fds=30:31`, {}, "it is given with 'fds'"],
  [`tap,id=n,ifname=t0,${off},helper=/bin/x`, {}, "it is given with 'helper'"],
  [`tap,id=n,ifname=t0,${off},vhostfds=4:5`, {}, "it is given with 'vhostfds'"],
  [`tap,id=n,ifname=t0,${off},vhostfd=4`, {}, "it is given with 'vhostfd'"],
  [`tap,id=n,${off}`, {}, 'its name is not fixed'],
  [`tap,id=n,ifname=,${off}`, {}, 'its name is not fixed'],
  [`tap,id=n,ifname=t%d,${off}`, {}, 'its name is not fixed'],
  ['tap,id=n,ifname=t0', {}, "'script' is not off"],
  ['tap,id=n,ifname=t0,script=no', {}, "'downscript' is not off"],
  ['tap,id=n,ifname=t0,downscript=no', {}, "'script' is not off"],
  ['tap,id=n,ifname=t0,script=/etc/up,downscript=no', {}, "'script' is not off"],
  ['tap,id=n,ifname=t0,script=no,downscript=/etc/down', {}, "'downscript' is not off"],
  [`tap,id=n,ifname=t0,${off}`, { card: 'e1000e,netdev=n' }, 'its card is no virtio-net'],
  [`tap,id=n,ifname=t0,${off}`, { card: 'virtio-net-pci,netdev=other' }, 'its card is no virtio-net'],
])('%s %o: %s', (netdev, options, expected) => {
  expect(decide(netdev, options)).toBe(expected);
});
