import type { Kind } from './kind.ts';
import { onPorts, refuse } from './settable.ts';
import { ip, linkName, number, readNumber } from './words.ts';

interface MtuSubject {
  readonly kind: 'mtu';
  readonly dev: string;
}

const ofLower = refuse('a macvtap has the MTU of the device below it');

/** A link's MTU, in bytes. */
export const mtu: Kind<MtuSubject, number> = {
  belongsTo: 'link',
  settable: {
    ...onPorts,
    'loose tap': 'set',
    macvtap: ofLower,
    'macvtap on a VF': ofLower,
    VF: refuse('the MTU of a VF is set by the guest'),
  },
  read: readNumber,
  describe: ({ dev }, to) => `${dev} mtu ${to}`,
  describeDoing: ({ dev }, to) => `set ${dev} mtu ${to}`,
  observe: ({ dev }, host) => host.link(dev)?.mtu,
  command: ({ dev }, to) => ip(`link set dev ${linkName(dev)} mtu ${number(to)}`),
};
