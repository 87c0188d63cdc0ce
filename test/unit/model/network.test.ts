import { expect, test } from 'vitest';
import { network } from '../../helpers/documents.ts';

const refused = expect.objectContaining({ code: 'XML_VALUE' });
const pci = (bus: string, fn: string) => `<address type='pci' domain='0' bus='${bus}' slot='0' function='${fn}'/>`;
const withForward = (forward: string) => network(`<network><name>n</name>${forward}</network>`);

test.each([
  { name: 'no <forward> is isolated', forward: '', mode: 'none' },
  { name: '<forward/> without mode is nat', forward: '<forward/>', mode: 'nat' },
  { name: 'an empty mode is none, which is nat', forward: "<forward mode=''/>", mode: 'nat' },
  ...['none', 'nat', 'route', 'open', 'bridge', 'private', 'vepa', 'passthrough', 'hostdev'].map(mode => ({
    name: `'${mode}' is itself`,
    forward: `<forward mode='${mode}'/>`,
    mode,
  })),
])('forward mode: $name', ({ forward, mode }) => {
  expect(withForward(forward).mode).toBe(mode);
});

test.each(['passthru', 'NAT', 'routed'])("forward mode: '%s' is refused", mode => {
  expect(() => withForward(`<forward mode='${mode}'/>`)).toThrow(refused);
});

test.each([
  {
    name: 'interfaces stand in document order',
    forward: "<forward mode='vepa'><interface dev='e2'/><interface dev='e1'/></forward>",
    pool: [{ dev: 'e2' }, { dev: 'e1' }],
  },
  { name: 'dev alone is a pool of one', forward: "<forward mode='vepa' dev='e1'/>", pool: [{ dev: 'e1' }] },
  {
    name: 'dev that repeats the first interface adds nothing',
    forward: "<forward mode='vepa' dev='e1'><interface dev='e1'/><interface dev='e2'/></forward>",
    pool: [{ dev: 'e1' }, { dev: 'e2' }],
  },
  {
    name: 'addresses stand in document order',
    forward: `<forward mode='hostdev'>${pci('0x3', '2')}${pci('3', '1')}</forward>`,
    pool: [{ address: '0000:03:00.2' }, { address: '0000:03:00.1' }],
  },
  {
    name: 'a pf that is not expanded yet is an empty pool',
    forward: "<forward mode='hostdev'><pf dev='p'/></forward>",
    pool: [],
  },
  {
    name: 'a live pf network shows its addresses beside the pf',
    forward: `<forward mode='hostdev'><pf dev='p'/>${pci('3', '1')}</forward>`,
    pool: [{ address: '0000:03:00.1' }],
  },
  {
    name: 'a live pf network shows its interfaces beside the pf',
    forward: "<forward mode='passthrough'><pf dev='p'/><interface dev='v0' connections='1'/></forward>",
    pool: [{ dev: 'v0' }],
  },
  { name: 'an isolated network has none', forward: '', pool: [] },
])('pool: $name', ({ forward, pool }) => {
  expect(withForward(forward).pool).toEqual(pool);
});

test.each([
  {
    name: 'dev that differs from the first interface',
    forward: "<forward mode='vepa' dev='e2'><interface dev='e1'/><interface dev='e2'/></forward>",
  },
  { name: 'an interface twice', forward: "<forward mode='vepa'><interface dev='e1'/><interface dev='e1'/></forward>" },
  {
    name: 'a PCI address twice, spelt differently',
    forward: `<forward mode='hostdev'>${pci('0x3', '0x1')}${pci('03', '1')}</forward>`,
  },
  { name: 'dev beside an address', forward: `<forward mode='hostdev' dev='e1'>${pci('3', '1')}</forward>` },
  { name: 'dev beside a pf', forward: "<forward mode='hostdev' dev='e1'><pf dev='p'/></forward>" },
  { name: 'two pfs', forward: "<forward mode='hostdev'><pf dev='p'/><pf dev='q'/></forward>" },
  {
    name: 'interfaces and addresses',
    forward: `<forward mode='hostdev'><interface dev='e1'/>${pci('3', '1')}</forward>`,
  },
  { name: 'addresses outside hostdev mode', forward: `<forward mode='passthrough'>${pci('3', '1')}</forward>` },
  {
    name: 'an address without type',
    forward: "<forward mode='hostdev'><address domain='0' bus='3' slot='0' function='1'/></forward>",
  },
  {
    name: 'an address of another type than pci',
    forward: "<forward mode='hostdev'><address type='usb' domain='0' bus='3' slot='0' function='1'/></forward>",
  },
  {
    name: 'a PCI function above 7',
    forward: `<forward mode='hostdev'>${pci('3', '8')}</forward>`,
  },
])('pool: $name is refused', ({ forward }) => {
  expect(() => withForward(forward)).toThrow(refused);
});

test.each([
  { name: 'managed is yes in any case', attribute: "managed='YES'", managed: true },
  { name: 'any other managed is no', attribute: "managed='maybe'", managed: false },
  { name: 'no managed is no', attribute: '', managed: false },
])('hostdev network: $name', ({ attribute, managed }) => {
  expect(withForward(`<forward mode='hostdev' ${attribute}/>`).managed).toBe(managed);
});

test.each(['private', 'vepa', 'passthrough', 'hostdev'])('a <bridge> in a %s network is refused', mode => {
  const bridge = "<bridge name='br0' macTableManager='libvirt'/>";
  expect(() => withForward(`<forward mode='${mode}'/>${bridge}`)).toThrow(refused);
});

test.each(['bridge', 'private', 'vepa', 'passthrough', 'hostdev'])('an <mtu> in a %s network is refused', mode => {
  expect(() => withForward(`<forward mode='${mode}'/><mtu size='9000'/>`)).toThrow(refused);
});

test.each(['nat', 'route', 'open'])('an <mtu> in a %s network is accepted', mode => {
  expect(withForward(`<forward mode='${mode}'/><mtu size='9000'/>`).mtu).toBe(9000);
});

test.each([
  { name: 'yes', isDefault: true },
  { name: 'YES', isDefault: true },
  { name: 'Yes', isDefault: true },
  { name: 'no', isDefault: false },
  { name: '1', isDefault: false },
])("a portgroup with default='$name' is the default: $isDefault", ({ name, isDefault }) => {
  expect(withForward(`<portgroup name='p' default='${name}'/>`).portgroups[0]!.isDefault).toBe(isDefault);
});

test.each([
  { name: 'two portgroups of one name', xml: "<portgroup name='p'/><portgroup name='p'/>", says: /'p'/ },
  {
    name: 'two default portgroups',
    xml: "<portgroup name='p' default='yes'/><portgroup name='q' default='YES'/>",
    says: /default/,
  },
  { name: 'a network virtualport without type', xml: '<virtualport/>', says: /virtualport/ },
  {
    name: 'a floor in the bandwidth of a network',
    xml: "<bandwidth><inbound average='1' floor='1'/></bandwidth>",
    says: /floor/,
  },
  {
    name: 'a floor in the bandwidth of a portgroup',
    xml: "<portgroup name='p'><bandwidth><inbound average='1' floor='1'/></bandwidth></portgroup>",
    says: /floor/,
  },
])('network: $name is refused', ({ xml, says }) => {
  expect(() => withForward(xml)).toThrow(
    expect.objectContaining({ code: 'XML_VALUE', message: expect.stringMatching(says) }),
  );
});

test('a portgroup virtualport needs no type', () => {
  const portgroup = "<portgroup name='p'><virtualport><parameters profileid='x'/></virtualport></portgroup>";
  expect(withForward(portgroup).portgroups[0]!.virtualport).toMatchObject({ parameters: { profileid: 'x' } });
});

test.each([
  { name: 'in a network status', xml: '<networkstatus><network><name>n</name></network></networkstatus>' },
  { name: 'in hook data', xml: '<hookData><network><name>n</name></network></hookData>' },
])('a network is found $name', ({ xml }) => {
  expect(network(xml).name).toBe('n');
});
