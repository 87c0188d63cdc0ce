import { describe, expect, test } from 'vitest';
import { readRequests } from '../../../src/config/requests.ts';
import { outlineStatus, parseLibvirtFile, readDevices } from '../../../src/host/libvirt/status-file.ts';
import { readDomain } from '../../../src/model/domain.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { maxOwnMetadata } from '../../../src/xml/foreign.ts';
import { guestUuid } from '../../helpers/documents.ts';

const mac = '52:54:00:00:00:01';
const device = `<interface type='bridge'><mac address='${mac}'/><source bridge='br0'/><target dev='vnet0'/></interface>`;
const own = `<a:interfaces xmlns:a='urn:actualnet:guest:1'><a:interface mac='${mac}' mtu='1400'/></a:interfaces>`;
const domain = (metadata: string) =>
  `<domain type='kvm' id='1'><name>g1</name><uuid>${guestUuid}</uuid>${metadata}<devices>${device}</devices></domain>`;
const status = (metadata: string) =>
  `<domstatus state='running' reason='booted' pid='7'>${domain(metadata)}</domstatus>`;
const wrap = (content: string) => `<metadata>${content}</metadata>`;
const everything = { allow: ['mtu'], bridges: [], networks: [], devices: [] } as const;

const decoy = `<domstatus state='shutoff' pid='1'><domain><uuid>${guestUuid.replace('0b0e', 'ffff')}</uuid><devices><interface type='ethernet'/><hostdev></hostdev></devices></domain></domstatus>`;
const many = (piece: string, bytes = 3_800_000) => piece.repeat(Math.floor(bytes / piece.length));

const contents: readonly { name: string; text: string }[] = [
  { name: 'elements that look like devices', text: decoy },
  { name: 'devices in a comment', text: `<!-- ${decoy} -->` },
  { name: 'devices in a CDATA section', text: `<x><![CDATA[${decoy}</x></metadata>]]></x>` },
  { name: 'devices in an instruction', text: `<?x </metadata>${decoy} ?>` },
  { name: 'an end tag in an attribute', text: '<x a="</metadata></domain>"/>' },
  { name: "'>' in an attribute", text: `<x a='>' b=">">${decoy}</x>` },
  { name: 'metadata in metadata', text: `<metadata>${decoy}</metadata>` },
  { name: '3.8 MiB of host devices that do not end', text: many('<hostdev a="1"/>') },
  { name: 'a million elements', text: many('<a/>') },
  { name: '500,000 levels', text: `${'<a>'.repeat(500_000)}${'</a>'.repeat(500_000)}` },
  { name: 'a tag of 3.8 MiB', text: `<a ${many("b='' ")}/>` },
  { name: 'an attribute of 3.8 MiB', text: `<a b='${many('x')}'/>` },
  { name: '3.8 MiB of our own words', text: `<interfaces>${many('<interface/>')}</interfaces>` },
  { name: '3.8 MiB of lists of ours', text: many('<interfaces/>') },
  { name: '3.8 MiB of comments, indented to more', text: many('<!---->           ') },
  { name: '9 MiB of instructions', text: many('<?a?>\n    ', 9_000_000) },
];

describe('foreign metadata', () => {
  test.each(contents)('hides nothing, is no limit and survives: $name', ({ text }) => {
    const xml = domain(wrap(text + own));
    const document = parseXml(Buffer.from(xml));
    expect(document.text).toBe(xml);
    const read = readDomain(document);
    expect(read.interfaces).toMatchObject([{ mac, target: { dev: 'vnet0' } }]);
    // Whoever fills the list of his own requests has no more of them.
    const isOwnFull = /<interfaces?\/>/.test(text);
    if (!isOwnFull)
      expect(readRequests(read, everything)).toEqual({ requests: [{ mac, settings: { mtu: 1400 } }], refusals: [] });
    const content = Buffer.from(status(wrap(text + own)));
    const outline = outlineStatus(content);
    expect(outline).toMatchObject({ uuid: guestUuid, devices: device, isWhole: true });
    expect(['state', 'reason', 'pid'].map(outline.attribute!)).toEqual(['running', 'booted', '7']);
    expect(readDevices(content).interfaces).toHaveLength(1);
    const kept = parseLibvirtFile(content);
    expect(readDomain(kept).interfaces).toHaveLength(1);
    if (!isOwnFull && text.length > 1_000_000 && !text.startsWith('<!')) expect(kept.text.length).toBeLessThan(2000);
  });

  test('of which the start tag is too long is left out as a whole', () => {
    const read = readDomain(parseXml(domain(`<metadata ${many("b='' ")}>${own}</metadata>`)));
    expect(read.interfaces).toHaveLength(1);
    expect(readRequests(read, everything).requests).toEqual([]);
  });

  test.each([
    { name: 'that does not end', text: '<a><b></a>' },
    { name: 'with quotes that do not end', text: "<a b='/>" },
    { name: 'that ends too often', text: '<a/></a>' },
  ])('$name is refused like anything else', ({ text }) => {
    expect(() => parseXml(domain(wrap(text)))).toThrow(expect.objectContaining({ code: 'XML_SYNTAX' }));
    expect(outlineStatus(Buffer.from(status(wrap(text)))).isWhole).toBe(false);
  });

  test('elsewhere than in a domain or network is read like everything', () => {
    expect(() => parseXml(`<a>${wrap('<b>'.repeat(300) + '</b>'.repeat(300))}</a>`)).toThrow(
      expect.objectContaining({ code: 'XML_LIMIT' }),
    );
    const network = parseXml(`<network><name>n</name>${wrap('<b>'.repeat(300) + '</b>'.repeat(300))}</network>`);
    expect(network.root.child('metadata')).toMatchObject({ children: [], foreignCount: 1 });
  });

  test.each(contents.filter((_, index) => [7, 9, 10, 12].includes(index)))('takes linear time: $name', ({ text }) => {
    const cost = (xml: string) => {
      const [content, whole] = [Buffer.from(status(wrap(xml))), Buffer.from(domain(wrap(xml)))];
      const costs = [1, 2].map(() => {
        const before = process.cpuUsage();
        outlineStatus(content);
        parseLibvirtFile(content);
        readRequests(readDomain(parseXml(whole)), everything);
        const { user, system } = process.cpuUsage(before);
        return (user + system) / 1000;
      });
      return Math.min(...costs);
    };
    const half = text.slice(0, text.length / 2);
    // Whatever it is cut through, two of them are twice one.
    const one = cost(`<!--${half.replaceAll('--', '==')}-->${text}`);
    const two = cost(`<!--${half.replaceAll('--', '==')}-->${text}${text}`);
    expect(two).toBeLessThan(3 * one + 50);
    expect(two).toBeLessThan(20_000);
  });
});

describe('requests beyond all bounds', () => {
  const wishesIn = (content: string) =>
    readRequests(
      readDomain(parseXml(domain(wrap(`<interfaces xmlns='urn:actualnet:guest:1'>${content}</interfaces>`)))),
      everything,
    );
  const macOf = (number: number) => `52:54:00:01:${(number >> 8).toString(16)}:${(number & 255).toString(16)}`;

  test('the first ones count, and how many are not read is told', () => {
    const { requests, refusals } = wishesIn(
      Array.from({ length: 6000 }, (_, number) => `<interface mac='${macOf(number)}' mtu='1400'/>`).join(''),
    );
    // The list itself is one of ours.
    expect(requests).toHaveLength(maxOwnMetadata - 1);
    expect(refusals).toEqual([expect.stringMatching(/: 1905 elements in <interfaces> are not read/)]);
  });

  test.each([
    {
      name: 'attributes nobody knows',
      text: `<interface mac='${mac}' ${Array.from({ length: 900 }, (_, n) => `a${n}=''`).join(' ')}/>`,
    },
    {
      name: 'values nobody takes',
      text: Array.from({ length: 4000 }, (_, n) => `<interface mac='${macOf(n)}' mtu='x'/>`).join('\n'),
    },
    {
      name: 'settings nobody may choose',
      text: Array.from({ length: 4000 }, (_, n) => `<interface mac='${macOf(n)}' vlan='1'/>`).join('\n'),
    },
    {
      name: 'interfaces nobody can find',
      text: Array.from({ length: 4000 }, () => `<interface mac='${'x'.repeat(900)}'/>`).join('\n'),
    },
    { name: 'the same again and again', text: `<interface mac='${mac}'/>\n`.repeat(4000) },
  ])('refusals are few and short: $name', ({ text }) => {
    const { refusals } = wishesIn(text);
    expect(refusals).toHaveLength(33);
    expect(refusals.at(-1)).toMatch(/^and \d+ more are refused$/);
    expect(Math.max(...refusals.map(line => line.length))).toBeLessThan(500);
  });

  test('lines are counted as before', () => {
    const { refusals } = wishesIn(`\r\n\r<interface mac='x'/>\n${'\n'.repeat(5000)}<interface mac='y'/>`);
    expect(refusals.map(line => /in line (\d+)/.exec(line)?.[1])).toEqual(['3', '5004']);
  });
});
