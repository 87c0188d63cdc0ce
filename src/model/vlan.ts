import type { XmlElement } from '../xml/document.ts';
import { readNumber } from './numbers.ts';
import { type Owner, readOneOf, readText, wrongValue } from './values.ts';

export interface VlanTag {
  readonly id: number;
  readonly nativeMode?: 'tagged' | 'untagged';
}

/** `<vlan>`: one tag is access mode, `trunk` carries several. */
export interface Vlan {
  readonly trunk: boolean;
  readonly tags: readonly VlanTag[];
}

/** The `<vlan>` child of `parent`. Rules of libvirt's netdev_vlan_conf.c; several tags imply trunk. */
export function readVlan(owner: Owner, parent: XmlElement): Vlan | undefined {
  const element = parent.child('vlan');
  if (element === undefined) return undefined;
  const tags = element.childrenNamed('tag').map(tag => {
    const id = readNumber(owner, tag, 'id') ?? wrongValue(owner, tag, { place: '@id', expected: 'a number' });
    const nativeMode = readOneOf(owner, tag, 'nativeMode', ['tagged', 'untagged']);
    return nativeMode === undefined ? { id } : { id, nativeMode };
  });
  if (tags.length === 0) wrongValue(owner, element, { place: 'tag', expected: 'at least one <tag id>' });
  const native = tags.filter(tag => tag.nativeMode !== undefined).length;
  if (native > 1) wrongValue(owner, element, { place: 'tag', expected: 'at most one nativeMode' });
  const trunk = readTrunk(owner, element);
  const needsTrunk = tags.length > 1 || native > 0;
  if (trunk === false && needsTrunk) {
    wrongValue(owner, element, { place: '@trunk', expected: "'yes' with several tags or a native one" });
  }
  return { trunk: trunk ?? tags.length > 1, tags };
}

/** In any case; other words are refused. */
function readTrunk(owner: Owner, vlan: XmlElement): boolean | undefined {
  const trunk = readText(vlan, 'trunk')?.toLowerCase();
  if (trunk !== undefined && trunk !== 'yes' && trunk !== 'no')
    wrongValue(owner, vlan, { place: '@trunk', expected: 'one of yes, no' });
  return trunk === undefined ? undefined : trunk === 'yes';
}

/** `42`, `trunk 10, 20 (native untagged)`. */
export function describeVlan(vlan: Vlan): string {
  const tags = vlan.tags.map(tag =>
    tag.nativeMode === undefined ? `${tag.id}` : `${tag.id} (native ${tag.nativeMode})`,
  );
  return `${vlan.trunk ? 'trunk ' : ''}${tags.join(', ')}`;
}
