import { listChoices } from '../config/guest-policy.ts';
import type { Config } from '../config/types.ts';
import { linksToAsk } from '../kernel/device-uses.ts';
import type { HostView } from '../kernel/host-view.ts';
import { readDomain } from '../model/domain.ts';
import type { Interface } from '../model/interface.ts';
import type { Uuid } from '../model/values.ts';
import { type DeviceUsers, listFreeVfs } from '../plan/free-vfs.ts';
import { ActualnetError } from '../report/error.ts';
import { type Rewrite, rewriteGuest } from '../transform/rewrite.ts';
import type { XmlDocument } from '../xml/document.ts';
import { guestContext, type Planning } from './context.ts';
import { blockersOf } from './predict.ts';

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
  const host = await viewForPicks({ config, effects });
  let users: DeviceUsers | undefined;
  const rewrite = rewriteGuest(document, {
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
  if (arrives && rewrite.document !== document)
    await refuseMissing(document, rewrite.document, { config, effects, findNetwork, version });
  return rewrite;
}

/** Whether a VF may have to be picked for a guest. */
export function mayReserve({ rewrite, guests }: Config): boolean {
  return listChoices(guests).has('vfs') || rewrite.some(({ vfs }) => vfs !== undefined);
}

/** Of VFs that can be picked it must be known whether the host uses them. */
async function viewForPicks({ config, effects }: Pick<Planning, 'config' | 'effects'>): Promise<HostView> {
  const host = await effects.view({});
  const vfs = mayReserve(config) ? host.pfs().flatMap(pf => host.pci(pf)?.vfs ?? []) : [];
  const addresses = linksToAsk(vfs, host);
  return addresses.length === 0 ? host : effects.view({ addresses });
}

/** An interface that was given another place must find it: the guest would only be refused a little later. */
async function refuseMissing(before: XmlDocument, after: XmlDocument, planning: Planning): Promise<void> {
  const domain = readDomain(after);
  const context = await guestContext(domain, planning, { incoming: true });
  const placeOf = ({ type, element }: Interface) => `${type} ${element.child('source')?.outerXml}`;
  const places = readDomain(before).interfaces.map(placeOf);
  const isMoved = (_: unknown, index: number) => {
    const iface = domain.interfaces[index];
    return iface !== undefined && placeOf(iface) !== places[index];
  };
  // Interfaces come first.
  const devices = context.devices.filter(isMoved);
  const blockers = await blockersOf(context, { ...planning, guest: domain.name, devices });
  const missing = blockers.find(({ error }) => error.code === 'DEVICE_MISSING')?.error;
  if (missing === undefined) return;
  throw new ActualnetError(missing.code, `after 'rewrite': ${missing.message}`, {
    owner: domain.owner,
    hint: missing.hint,
  });
}
