import { readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { type DeviceUsers, listFreeVfs } from '../plan/free-vfs.ts';
import { type Rewrite, rewriteGuest } from '../transform/rewrite.ts';
import type { XmlDocument } from '../xml/document.ts';
import type { Planning } from './guest.ts';

/** What a document is rewritten for: by default for later. */
export interface Rewriting {
  /** Who uses the devices here, but for one guest. */
  readonly usersBeside: (guest: Uuid | undefined) => DeviceUsers;
  /** Its guest is about to start here. */
  readonly arrives?: boolean;
}

/** A document as the configuration wants it on this host. */
export async function rewriteForHost(
  document: XmlDocument,
  { config, effects, findNetwork, version }: Planning,
  { usersBeside, arrives = false }: Rewriting,
): Promise<Rewrite> {
  const host = await effects.view({});
  let users: DeviceUsers | undefined;
  return rewriteGuest(document, {
    rules: config.rewrite,
    guests: config.guests,
    arrives,
    findNetwork,
    version,
    pfOf: address => {
      const device = host.pci(address);
      return device && (device.pf?.dev ?? null);
    },
    freeVfs(pfs, like) {
      users ??= usersBeside(readDomain(document).uuid);
      return listFreeVfs(host, { pfs, like, ...users });
    },
  });
}
