import { pciAddressAttributes } from '../model/pci-address.ts';
import type { HostView } from './host-view.ts';

/**
 * A MAC for a VF that nobody uses and whose driver does not take an all-zero one: locally administered, always the same for a
 * VF, and no other's. libvirt gives 02:00:00:00:00:00 to all of them, and a card with two VFs of one address delivers to one.
 * The first byte has the PCI domain, the last two bus, slot and function; between them the end of the PF's own MAC keeps
 * hosts apart.
 */
export function idleMac(pf: string, vf: number, host: HostView): string {
  const link = host.link(pf);
  const card = link?.pci ? host.pci(link.pci) : undefined;
  const address = card?.vfs[vf];
  // A PF that has lost it meanwhile refuses whatever it is asked for.
  const parts = address === undefined ? { domain: 0, bus: 0, slot: 0, function: vf } : pciAddressAttributes(address);
  const [domain, bus, slot, fn] = [parts.domain, parts.bus, parts.slot, parts.function].map(Number) as Quad;
  const own = (link?.mac ?? '00:00:00:00:00:00')
    .split(':')
    .slice(3)
    .map(byte => Number.parseInt(byte, 16));
  const bytes = [((domain & 0x3f) << 2) | 2, ...own, bus, ((slot << 3) | fn) & 0xff];
  return bytes.map(byte => byte.toString(16).padStart(2, '0')).join(':');
}

type Quad = [number, number, number, number];
