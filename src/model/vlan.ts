import type { XmlElement } from '../xml/document.ts';
import { type Owner, readInteger, readOneOf, readRequired, readYesNo, wrongValue } from './values.ts';

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
    readRequired(owner, tag, 'id');
    const id = readInteger(owner, tag, 'id', { min: 0, max: 4095 })!;
    const nativeMode = readOneOf(owner, tag, 'nativeMode', ['tagged', 'untagged']);
    return nativeMode === undefined ? { id } : { id, nativeMode };
  });
  if (tags.length === 0) wrongValue(owner, element, { place: 'tag', expected: 'at least one <tag id>' });
  const native = tags.filter(tag => tag.nativeMode !== undefined).length;
  if (native > 1) wrongValue(owner, element, { place: 'tag', expected: 'at most one nativeMode' });
  const trunk = readYesNo(owner, element, 'trunk');
  const needsTrunk = tags.length > 1 || native > 0;
  if (trunk === false && needsTrunk) {
    wrongValue(owner, element, { place: '@trunk', expected: "'yes' with several tags or a native one" });
  }
  return { trunk: trunk ?? tags.length > 1, tags };
}

/** `42`, `trunk 10, 20 (native untagged)`. */
export function describeVlan(vlan: Vlan): string {
  const tags = vlan.tags.map(tag =>
    tag.nativeMode === undefined ? `${tag.id}` : `${tag.id} (native ${tag.nativeMode})`,
  );
  return `${vlan.trunk ? 'trunk ' : ''}${tags.join(', ')}`;
}
