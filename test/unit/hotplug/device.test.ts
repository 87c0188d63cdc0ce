import { describe, expect, test } from 'vitest';
import { givenAlias, nameOfNew, readNewDevice, withDevice } from '../../../src/hotplug/device.ts';
import { findDevice, listDevices } from '../../../src/hotplug/find.ts';
import { readDomain } from '../../../src/model/domain.ts';
import type { MacAddress } from '../../../src/model/values.ts';
import { resolveGuest } from '../../../src/resolve/guest.ts';
import { oldestLibvirtVersion } from '../../../src/resolve/version.ts';
import { viewGuest } from '../../../src/transform/view-guest.ts';
import { parseXml } from '../../../src/xml/document.ts';

const newMac = () => '52:54:00:aa:aa:aa' as MacAddress;
const read = (xml: string, guest = "a<'b") => readNewDevice(parseXml(xml), guest, newMac);
const address = "<address type='pci' domain='0' bus='0x5e' slot='0x02' function='0x1'/>";
const vf = `<interface type='hostdev'><mac address='52:54:00:00:00:02'/><source>${address}</source></interface>`;
const hostdev = `<hostdev mode='subsystem' type='pci' managed='yes'><source>${address.replace("type='pci' ", '')}</source></hostdev>`;

describe('a device to attach', () => {
  test('keeps every byte, and gets a MAC only if it has none', () => {
    const given =
      "<interface type='bridge'>\n  <mac address='52:54:00:00:00:01'/><source bridge='br0'/> <!-- x -->\n</interface>";
    expect(read(given).xml).toBe(given);
    expect(read("<interface type='user'/>").xml).toMatch(
      /^<interface type='user'>\s*<mac address='52:54:00:aa:aa:aa'\/><\/interface>$/,
    );
    expect(nameOfNew(read("<interface type='user'/>"))).toBe('interface 52:54:00:aa:aa:aa');
    expect(nameOfNew(read(hostdev))).toBe('host device 0000:5e:02.1');
  });

  test('has only an alias that the administrator may give', () => {
    const aliased = (name: string) => read(`<interface type='user'><alias name='${name}'/></interface>`);
    expect([givenAlias(aliased('ua-x')), givenAlias(aliased('net7'))]).toEqual(['ua-x', undefined]);
  });

  test.each([
    ['<disk/>', 'XML_KIND'],
    ["<hostdev mode='subsystem' type='usb'><source/></hostdev>", 'XML_KIND'],
    ["<interface type='network'/>", 'XML_VALUE'],
    ["<interface type='nonsense'/>", 'XML_VALUE'],
    ["<interface type='user'><mac address='x'/></interface>", 'XML_VALUE'],
  ])('%s is refused: %s', (xml, code) => {
    expect(() => read(xml)).toThrow(expect.objectContaining({ code }));
  });
});

describe('a device to find', () => {
  const domain = readDomain(
    parseXml(`<domain id='1'><name>g</name><devices>
      <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><alias name='net0'/>
        <address type='pci' domain='0' bus='0' slot='3' function='0'/></interface>
      <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><alias name='ua-twin'/></interface>
      ${vf.replace('</interface>', "<alias name='hostdev0'/></interface>")}
      <hostdev mode='subsystem' type='usb'><source/><alias name='hostdev1'/></hostdev>
      ${hostdev.replaceAll('0x02', '0x03').replace('</hostdev>', "<alias name='hostdev2'/></hostdev>")}
    </devices></domain>`),
  );
  const viewOf = (of: typeof domain) =>
    viewGuest(of, resolveGuest(of, { findNetwork: () => undefined, version: () => oldestLibvirtVersion }));
  const view = viewOf(domain);

  test.each([
    ['net0', 'net0'],
    ['ua-twin', 'ua-twin'],
    ['52:54:00:00:00:02', 'hostdev0'],
    ['52:54:00:00:00:02'.toUpperCase(), 'hostdev0'],
    ['0000:5e:02.1', 'hostdev0'],
    ['hostdev0', 'hostdev0'],
    ['0000:5e:03.1', 'hostdev2'],
    ['hostdev2', 'hostdev2'],
    ['0000:00:03.0', 'net0'],
  ])('%s is %s', (selector, alias) => {
    expect(findDevice(domain, view, selector).alias).toBe(alias);
  });

  test('none, several, or one that is no PCI device', () => {
    expect(() => findDevice(domain, view, '52:54:00:00:00:01')).toThrow(/several devices .*: net0, ua-twin/);
    expect(() => findDevice(domain, view, 'net1')).toThrow(/no interface or PCI host device 'net1'/);
    expect(() => findDevice(domain, view, 'hostdev1')).toThrow(/no interface or PCI host device/);
  });

  test('one that comes is last in its list, under the next alias', () => {
    const coming = (xml: string) => {
      const after = withDevice(domain, read(xml));
      return listDevices(after, viewOf(after)).map(each => each.alias);
    };
    expect(coming("<interface type='user'/>").slice(0, 4)).toEqual(['net0', 'ua-twin', 'hostdev0', 'net1']);
    expect(coming(hostdev).at(-1)).toBe('hostdev3');
    expect(coming(vf)[3]).toBe('hostdev3');
  });
});
