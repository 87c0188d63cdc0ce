import type { Kind } from './kind.ts';
import { onPorts, refusals, refuse } from './settable.ts';
import { ip, linkName, onOff, readBoolean } from './words.ts';

/** Flags of a bridge port, in iproute2's words. */
export const portFlags = ['learning', 'flood', 'isolated'] as const;
export type PortFlag = (typeof portFlags)[number];

interface PortFlagSubject<F extends PortFlag> {
  readonly kind: F;
  readonly dev: string;
}

function portFlag<F extends PortFlag>(
  flag: F,
  more: Pick<Kind<PortFlagSubject<F>, boolean>, 'standsOn' | 'settable'> = {},
) {
  const kind: Kind<PortFlagSubject<F>, boolean> = {
    belongsTo: 'port',
    settable: onPorts,
    read: readBoolean,
    describe: ({ dev }, to) => `${dev} ${flag} ${onOff(to)}`,
    describeDoing: ({ dev }, to) => `switch ${dev} ${flag} ${onOff(to)}`,
    observe: ({ dev }, host) => host.link(dev)?.port?.[flag],
    command: ({ dev }, to) => ip(`link set dev ${linkName(dev)} type bridge_slave ${flag} ${onOff(to)}`),
    ...more,
  };
  return kind;
}

/** A port that neither learns nor gets floods is cut off without an entry for its guest. */
export const learning = portFlag('learning', { standsOn: 'fdb' });
export const flood = portFlag('flood', { standsOn: 'fdb' });
export const isolated = portFlag('isolated', {
  settable: {
    ...onPorts,
    macvtap: refuse(refusals.ofMacvtap.why, "mode='private' keeps the macvtaps of one device apart"),
  },
});
