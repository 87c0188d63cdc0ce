import type { Kind } from './kind.ts';
import { vfNumber } from './vf-number.ts';
import { ip, linkName, readBoolean } from './words.ts';

interface UpSubject {
  readonly kind: 'up';
  readonly dev: string;
}

/** Whether a link is up. */
export const up: Kind<UpSubject, boolean> = {
  belongsTo: 'link',
  read: readBoolean,
  describe: ({ dev }, to) => `${dev} ${to === true ? 'up' : 'down'}`,
  describeDoing: ({ dev }, to) => (to === true ? `bring ${dev} up` : `take ${dev} down`),
  observe: ({ dev }, host) => host.link(dev)?.up,
  command: ({ dev }, to) => ip(`link set dev ${linkName(dev)} ${to === true ? 'up' : 'down'}`),
  blocker({ dev }, observed, host, isGoing) {
    if (observed !== true) return undefined;
    // VFs are dead while their PF is down, and no link tells.
    const needed = vfNumber.blocker?.({ kind: 'vfs', dev }, null, host, isGoing);
    if (needed !== undefined) return needed;
    const users = host.link(dev)?.uppers.filter(upper => !isGoing(upper)) ?? [];
    return users.length === 0 ? undefined : `still used by ${users.join(', ')}`;
  },
};
