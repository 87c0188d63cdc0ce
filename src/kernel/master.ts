import type { Kind } from './kind.ts';
import { onPorts, refusals, refuse } from './settable.ts';
import { ip, linkName, readText } from './words.ts';

interface MasterSubject {
  readonly kind: 'master';
  readonly dev: string;
}

/** The bridge that a link is a port of; null for none. */
export const master: Kind<MasterSubject, string> = {
  belongsTo: 'link',
  mayBeNone: true,
  settable: {
    ...onPorts,
    'foreign port': 'set',
    'loose tap': refuse('its tap is there already, in no bridge', 'plug it in, or leave making it to us'),
    macvtap: refusals.ofMacvtap,
  },
  read: readText,
  describe: ({ dev }, to) => (to === null ? `${dev} out of its bridge` : `${dev} into bridge ${to}`),
  describeDoing: (subject, to) => `${to === null ? 'take' : 'put'} ${master.describe(subject, to)}`,
  observe: ({ dev }, host) => host.link(dev)?.master,
  command: ({ dev }, to) => ip(`link set dev ${linkName(dev)} ${to === null ? 'nomaster' : `master ${linkName(to)}`}`),
};
