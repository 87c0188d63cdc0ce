import { findUse, useKinds } from './device-uses.ts';
import type { HostView } from './host-view.ts';
import type { Kind } from './kind.ts';
import { linkName, number, readNumber } from './words.ts';

interface VfNumberSubject {
  readonly kind: 'vfs';
  /** The PF's link. */
  readonly dev: string;
}

/** How many VFs a PF has. */
export const vfNumber: Kind<VfNumberSubject, number> = {
  belongsTo: 'card',
  read: readNumber,
  describe: ({ dev }, to) => `${to} VFs on ${dev}`,
  describeDoing: (subject, to) => `make ${vfNumber.describe(subject, to)}`,
  observe: ({ dev }, host) => host.link(dev)?.vfs,
  // More than are needed are somebody else's, and are let be.
  isSatisfied: (to, observed) => Number(observed) >= Number(to),
  command: ({ dev }, to) => ({
    tool: 'pci',
    line: `numvfs ${linkName(dev)} ${number(to)}`,
    action: { do: 'make VFs', pf: linkName(dev), count: number(to) },
  }),
  deferral({ dev }, to, observed, host) {
    const why = userOfAnyVf(dev, host);
    return why && `there are only ${observed} VFs on '${dev}' instead of ${to}, and more cannot be made now: ${why}`;
  },
  blocker: ({ dev }, _, host) => userOfAnyVf(dev, host),
  // From one number to another it goes by way of none.
  isHalfDone: observed => observed === 0,
};

/** Someone would lose a VF, and the kernel would keep the writer waiting. */
function userOfAnyVf(dev: string, host: HostView): string | undefined {
  const pf = host.link(dev)?.pci;
  for (const vf of (pf && host.pci(pf)?.vfs) || []) {
    const use = findUse(vf, host, useKinds);
    if (use !== undefined) return `VF ${vf}: ${use.why}`;
  }
  return undefined;
}
