import { expect, test } from 'vitest';
import { readVlan } from '../../../src/model/vlan.ts';
import { parseXml } from '../../../src/xml/document.ts';

const read = (vlan: string) => readVlan('somebody', parseXml(`<interface>${vlan}</interface>`).root);

test.each([
  { name: 'one tag is access mode', vlan: "<vlan><tag id='5'/></vlan>", trunk: false, ids: [5] },
  { name: 'id 0 is possible', vlan: "<vlan><tag id='0'/></vlan>", trunk: false, ids: [0] },
  { name: 'id 4095 is possible', vlan: "<vlan><tag id='4095'/></vlan>", trunk: false, ids: [4095] },
  {
    name: 'several tags imply trunk',
    vlan: "<vlan><tag id='7'/><tag id='6'/></vlan>",
    trunk: true,
    ids: [7, 6],
  },
  { name: 'one tag may be a trunk', vlan: "<vlan trunk='yes'><tag id='5'/></vlan>", trunk: true, ids: [5] },
  {
    name: 'one tag may say that it is no trunk',
    vlan: "<vlan trunk='no'><tag id='5'/></vlan>",
    trunk: false,
    ids: [5],
  },
])('vlan: $name', ({ vlan, trunk, ids }) => {
  const found = read(vlan)!;
  expect({ trunk: found.trunk, ids: found.tags.map(tag => tag.id) }).toEqual({ trunk, ids });
});

test.each([
  { name: 'tagged', nativeMode: 'tagged' },
  { name: 'untagged', nativeMode: 'untagged' },
])('vlan: one tag of a trunk may be native $name', ({ nativeMode }) => {
  const vlan = `<vlan trunk='yes'><tag id='1' nativeMode='${nativeMode}'/><tag id='2'/></vlan>`;
  expect(read(vlan)).toEqual({ trunk: true, tags: [{ id: 1, nativeMode }, { id: 2 }] });
});

test.each([
  { name: 'no tag at all', vlan: '<vlan/>' },
  { name: 'a tag without id', vlan: '<vlan><tag/></vlan>' },
  { name: 'an id of 4096', vlan: "<vlan><tag id='4096'/></vlan>" },
  { name: 'a negative id', vlan: "<vlan><tag id='-1'/></vlan>" },
  { name: "trunk='no' with two tags", vlan: "<vlan trunk='no'><tag id='1'/><tag id='2'/></vlan>" },
  { name: "trunk='no' with a native tag", vlan: "<vlan trunk='no'><tag id='1' nativeMode='tagged'/></vlan>" },
  {
    name: 'two native tags',
    vlan: "<vlan trunk='yes'><tag id='1' nativeMode='tagged'/><tag id='2' nativeMode='untagged'/></vlan>",
  },
])('vlan: $name is refused', ({ vlan }) => {
  expect(() => read(vlan)).toThrow(expect.objectContaining({ code: 'XML_VALUE' }));
});

test('vlan: no element is no vlan', () => {
  expect(read('')).toBeUndefined();
});
