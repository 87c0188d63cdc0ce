import type { Kind } from './kind.ts';
import { ip, linkName, macAddress, readText } from './words.ts';

interface MacSubject {
  readonly kind: 'mac';
  readonly dev: string;
}

/** A link's own MAC address. */
export const mac: Kind<MacSubject, string> = {
  belongsTo: 'link',
  read: readText,
  describe: ({ dev }, to) => `${dev} mac ${to}`,
  describeDoing: ({ dev }, to) => `set ${dev} mac ${to}`,
  observe: ({ dev }, host) => host.link(dev)?.mac,
  command: ({ dev }, to) => ip(`link set dev ${linkName(dev)} address ${macAddress(to)}`),
};
