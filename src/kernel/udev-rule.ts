import { findUse, guestUses } from './device-uses.ts';
import type { Kind } from './kind.ts';
import { linkName, onOff, readBoolean } from './words.ts';

interface UdevRuleSubject {
  readonly kind: 'unmanaged';
  /** The PF's link. */
  readonly dev: string;
}

/** A rule of udev's that has network managers leave the links of a PF's VFs alone. */
export const udevRule: Kind<UdevRuleSubject, boolean> = {
  belongsTo: 'card',
  read: readBoolean,
  describe: ({ dev }, to) =>
    to === true ? `network managers leave the VFs of ${dev} alone` : `network managers may have the VFs of ${dev}`,
  describeDoing: ({ dev }, to) =>
    to === true
      ? `tell network managers to leave the VFs of ${dev} alone`
      : `tell network managers they may have the VFs of ${dev}`,
  observe: ({ dev }, host) => host.link(dev) && host.unmanaged(dev),
  command: ({ dev }, to) => ({
    tool: 'pci',
    line: `unmanaged ${linkName(dev)} ${onOff(to)}`,
    action: { do: 'leave VFs alone', pf: linkName(dev), on: to === true },
  }),
  blocker({ dev }, _, host) {
    const pf = host.link(dev)?.pci;
    const vfs = (pf && host.pci(pf)?.vfs) || [];
    // Whoever else may use their links.
    const [user] = vfs.flatMap(vf => findUse(vf, host, [...guestUses, 'claim', 'bound'])?.who ?? []);
    return user && `it is in use by ${user}`;
  },
};
