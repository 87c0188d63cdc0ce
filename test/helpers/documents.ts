import { type Domain, readDomain } from '../../src/model/domain.ts';
import { type Network, readNetwork } from '../../src/model/network.ts';
import { type GuestResolutionContext, type InterfaceResolution, resolveGuest } from '../../src/resolve/guest.ts';
import type { CountedPort, NetworkState } from '../../src/resolve/network-state.ts';
import { parseLibvirtVersion } from '../../src/resolve/version.ts';
import type { GuestView } from '../../src/transform/guest-view.ts';
import { viewGuest } from '../../src/transform/view-guest.ts';
import { parseXml } from '../../src/xml/document.ts';

export const guestUuid = '0b0e1f52-0000-4000-8000-0000000000aa';

/** A small guest around the given device elements. */
export function domainXml(devices: string, attributes = "type='qemu'"): string {
  return `<domain ${attributes}>\n  <name>g1</name>\n  <uuid>${guestUuid}</uuid>\n  <devices>\n${devices}\n  </devices>\n</domain>\n`;
}

export function domain(devices: string, attributes?: string): Domain {
  return readDomain(parseXml(domainXml(devices, attributes)));
}

export function network(xml: string): Network {
  return readNetwork(parseXml(xml).root);
}

/** An active network with the given ports. */
export function running(xml: string, ports: readonly CountedPort[] = []): NetworkState {
  return { network: network(xml), active: true, ports };
}

/** Resolves a guest made of `devices` against `networks`. */
export function resolve(
  devices: string,
  networks: readonly NetworkState[],
  libvirtVersion = '9.0.0',
): { domain: Domain; resolutions: InterfaceResolution[]; view: GuestView } {
  const guest = domain(devices);
  const context: GuestResolutionContext = {
    findNetwork: name => networks.find(state => state.network.name === name),
    version: () => parseLibvirtVersion(libvirtVersion),
  };
  const resolutions = resolveGuest(guest, context);
  return { domain: guest, resolutions, view: viewGuest(guest, resolutions) };
}
