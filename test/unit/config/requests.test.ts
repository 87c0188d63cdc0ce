import { describe, expect, test } from 'vitest';
import { findRequest, type GuestRequests, readRequests } from '../../../src/config/requests.ts';
import { type Config, interfaceSettings } from '../../../src/config/types.ts';
import { readDomain } from '../../../src/model/domain.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { domainXml } from '../../helpers/documents.ts';

const mac = '52:54:00:00:00:01';
const everything: Config['guests'] = {
  allow: interfaceSettings,
  bridges: ['br-lab*', 'br7'],
  networks: [],
  devices: [],
};

function wishesIn(metadata: string, guests = everything): GuestRequests {
  const xml = domainXml('').replace('<devices>', `<metadata>${metadata}</metadata><devices>`);
  return readRequests(readDomain(parseXml(xml)), guests);
}

const wishesOf = (content: string, guests = everything) =>
  wishesIn(`<interfaces xmlns='urn:actualnet:guest:1'>${content}</interfaces>`, guests);

describe('requests', () => {
  test('are read by MAC address and by tap', () => {
    const { requests, refusals } = wishesOf(
      `<interface mac='52:54:0:AB:0:1' bridge='br-lab2' vlan='10, 20' isolated='yes' keepForwardingTable='no' mtu='1400'/>
       <interface tap='web1-front' vlan='5'/>`,
    );
    expect({ requests, refusals }).toEqual({
      requests: [
        {
          mac: '52:54:00:ab:00:01',
          settings: { bridge: 'br-lab2', vlan: [10, 20], isolated: true, keepForwardingTable: false, mtu: 1400 },
        },
        { tap: 'web1-front', settings: { vlan: [5] } },
      ],
      refusals: [],
    });
    expect(findRequest(requests, { mac: '52:54:00:AB:00:01', tap: 'vnet0' })).toMatchObject({ bridge: 'br-lab2' });
    expect(findRequest(requests, { mac, tap: 'web1-front' })).toEqual({ vlan: [5] });
    expect(findRequest(requests, { mac, tap: undefined })).toBeUndefined();
    expect(findRequest(requests, {})).toBeUndefined();
  });

  test.each([
    { name: 'no metadata of ours', metadata: "<x:other xmlns:x='urn:x'><x:interface mac='1'/></x:other>" },
    { name: 'our words in no namespace', metadata: `<interfaces><interface mac='${mac}' mtu='1400'/></interfaces>` },
    { name: 'another version', metadata: "<interfaces xmlns='urn:actualnet:guest:2'><interface/></interfaces>" },
    {
      name: 'a foreign element inside',
      metadata: "<interfaces xmlns='urn:actualnet:guest:1'><interface xmlns='urn:x'/></interfaces>",
    },
  ])('are not there: $name', ({ metadata }) => {
    expect(wishesIn(metadata)).toEqual({ requests: [], refusals: [] });
  });

  test('are found under any prefix, as libvirt writes them back', () => {
    const { requests } = wishesIn(
      `<a:interfaces xmlns:a='urn:actualnet:guest:1'><a:interface mac='${mac}' mtu='68'/></a:interfaces>`,
    );
    expect(requests).toEqual([{ mac, settings: { mtu: 68 } }]);
  });

  test('that the configuration does not allow are refused one by one, the others count', () => {
    const { requests, refusals } = wishesOf(`<interface mac='${mac}' vlan='7' mtu='nonsense' isolated='no'/>`, {
      allow: ['vlan'],
      bridges: [],
      networks: [],
      devices: [],
    });
    expect(requests).toEqual([{ mac, settings: { vlan: [7] } }]);
    expect(refusals).toEqual([
      `guest 'g1', interface ${mac} in <metadata>: the configuration does not let guests choose 'mtu'`,
      `guest 'g1', interface ${mac} in <metadata>: the configuration does not let guests choose 'isolated'`,
    ]);
  });

  test.each([
    { attributes: "bridge='br0'", line: "<interface> @bridge in line 4 is 'br0', expected one of br-lab*, br7" },
    { attributes: "bridge='br-lab/x'", line: "<interface> @bridge in line 4 is 'br-lab/x', expected a link name" },
    { attributes: "vlan='0'", line: /@vlan in line 4 is '0', expected different numbers from 1 to 4094/ },
    { attributes: "vlan='4095'", line: /@vlan in line 4 is '4095'/ },
    { attributes: "vlan='5,5'", line: /@vlan in line 4 is '5,5'/ },
    { attributes: "vlan='5,'", line: /@vlan in line 4 is '5,'/ },
    { attributes: "vlan=''", line: /@vlan in line 4 is ''/ },
    { attributes: "mtu='67'", line: "<interface> @mtu in line 4 is '67', expected a number from 68 to 65535" },
    { attributes: "isolated='true'", line: "<interface> @isolated in line 4 is 'true', expected one of yes, no" },
    { attributes: "isolate='yes'", line: "unknown attribute 'isolate' (did you mean 'isolated'?)" },
    { attributes: "speed='1'", line: /^unknown attribute 'speed' \(known: mac, tap, bridge, / },
  ])('that are wrong are refused: $attributes', ({ attributes, line }) => {
    const { requests, refusals } = wishesOf(`<interface mac='${mac}' ${attributes}/>`);
    expect(requests).toEqual([{ mac, settings: {} }]);
    const [found, ...others] = refusals.map(text => text.replace(`guest 'g1', interface ${mac} in <metadata>: `, ''));
    expect(others).toEqual([]);
    if (typeof line === 'string') expect(found).toBe(line);
    else expect(found).toMatch(line);
  });

  test.each([
    { element: "<interface mtu='1400'/>", line: /interface 0 in <metadata>: <interface> @mac in line 4 is nothing/ },
    { element: "<interface mac='web' mtu='1400'/>", line: /@mac in line 4 is 'web', expected a MAC address/ },
    { element: "<interface tap='a/b' mtu='1400'/>", line: /@tap in line 4 is 'a\/b', expected a link name/ },
    {
      element: `<interface mac='${mac}' tap='x' mtu='1400'/>`,
      line: /@tap in line 4 is 'x', expected none beside @mac/,
    },
  ])('for no interface that could be found are refused: $element', ({ element, line }) => {
    const { requests, refusals } = wishesOf(element);
    expect({ requests, refusals }).toEqual({ requests: [], refusals: [expect.stringMatching(line)] });
  });

  test('for one interface may be there once', () => {
    const { requests, refusals } = wishesOf(`<interface mac='${mac}' mtu='68'/>\n<interface mac='${mac}' mtu='69'/>`);
    expect(requests).toEqual([{ mac, settings: { mtu: 68 } }]);
    expect(refusals).toEqual([
      `guest 'g1', interface ${mac} in <metadata>: it is there twice, the second time in line 5`,
    ]);
  });

  test('may ask for no bridge if the configuration names none', () => {
    const { refusals } = wishesOf(`<interface mac='${mac}' bridge='br0'/>`, {
      allow: ['bridge'],
      bridges: [],
      networks: [],
      devices: [],
    });
    expect(refusals).toEqual([expect.stringMatching(/expected none: guests may choose none$/)]);
  });

  test('for addresses to announce', () => {
    expect(wishesOf(`<interface mac='${mac}' announce='192.0.2.1, 10.0.0.255'/>`).requests).toEqual([
      { mac, settings: { announce: ['192.0.2.1', '10.0.0.255'] } },
    ]);
    for (const wrong of ['', '192.0.2.256', '192.0.2', '::1', '192.0.2.1;reboot', '-h'])
      expect(wishesOf(`<interface mac='${mac}' announce='${wrong}'/>`).requests, wrong).toEqual([
        { mac, settings: {} },
      ]);
  });

  test('cannot break a line', () => {
    const { refusals } = wishesOf(`<interface mac='a&#10;b'/>`);
    expect(refusals).toEqual([expect.stringContaining("'a\\nb'")]);
  });
});
