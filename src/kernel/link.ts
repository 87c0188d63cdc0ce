import { ActualnetError } from '../report/error.ts';
import type { Kind, LinkSpec } from './kind.ts';
import { ip, linkName, number } from './words.ts';

interface LinkSubject {
  readonly kind: 'link';
  readonly dev: string;
}

/** A link: what it has to be made as; observed, whatever it is, as its index. */
export const link: Kind<LinkSubject, LinkSpec | number> = {
  belongsTo: 'link',
  read(stored) {
    if (typeof stored === 'number' || stored === null) return stored;
    return isSpec(stored) ? stored : undefined;
  },
  describe: ({ dev }, to) =>
    to === null ? `remove ${dev}` : `make ${typeof to === 'object' ? to.type : 'link'} ${dev}`,
  describeDoing: (subject, to) => link.describe(subject, to),
  observe: ({ dev }, host) => host.link(dev)?.index ?? null,
  // One that is there is used as it is.
  isEqual: (one, other) => (one === null) === (other === null),
  command: ({ dev }, to) => ip(to === null ? `link delete dev ${linkName(dev)}` : add(linkName(dev), to)),
};

function add(dev: string, spec: LinkSpec | number): string {
  if (typeof spec === 'number') throw new ActualnetError('BUG', `'${dev}' is to be made as nothing`);
  switch (spec.type) {
    case 'tap': {
      const owner = spec.owner === undefined ? '' : ` user ${userName(spec.owner)}`;
      return `tuntap add dev ${dev} mode tap${owner}${spec.multiQueue ? ' multi_queue' : ''}`;
    }
    case 'bridge':
      return `link add name ${dev} type bridge${spec.vlanFiltering ? ' vlan_filtering 1' : ''}`;
    case 'vlan':
      return `link add link ${linkName(spec.link)} name ${dev} type vlan id ${number(spec.id)}`;
  }
}

function userName(user: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/.test(user)) return user;
  throw new ActualnetError('CONFIG', `'${user}' is not a user name`);
}

function isSpec(stored: unknown): stored is LinkSpec {
  const types: readonly unknown[] = ['tap', 'bridge', 'vlan'] satisfies LinkSpec['type'][];
  return typeof stored === 'object' && stored !== null && 'type' in stored && types.includes(stored.type);
}
