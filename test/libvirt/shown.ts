import { XMLParser } from 'fast-xml-parser';
import type { GuestRecord } from '../../src/guest/record.ts';
import type { GuestView } from '../../src/transform/guest-view.ts';

/** What an interface really is, in the words that libvirt's live document and our record share. */
export interface ShownInterface {
  readonly alias: string;
  readonly mac: string;
  readonly network: string | undefined;
  readonly portgroup: string | undefined;
  readonly type: string;
  readonly bridge: string | undefined;
  readonly macTableManager: string | undefined;
  readonly dev: string | undefined;
  readonly mode: string | undefined;
  /** The network port, by uuid. */
  readonly port: string | undefined;
}

/** From `virsh dumpxml` of a running guest; read with another reader than the hooks', on purpose. */
export function shownByLibvirt(domainXml: string): ShownInterface[] {
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '',
    parseAttributeValue: false,
    isArray: name => name === 'interface',
  });
  const { interface: interfaces = [] } = parser.parse(domainXml).domain.devices;
  return (interfaces as LiveInterface[]).map(({ type, alias, mac, source = {} }) => ({
    alias: alias.name,
    mac: mac.address,
    network: source.network,
    portgroup: source.portgroup,
    type,
    bridge: source.bridge,
    macTableManager: source.macTableManager,
    dev: source.dev,
    mode: source.mode,
    port: source.portid,
  }));
}

interface LiveInterface {
  readonly type: string;
  readonly alias: { readonly name: string };
  readonly mac: { readonly address: string };
  readonly source?: Readonly<Record<string, string>>;
}

/** From a view of `actualnet status`, predicted or chosen, with the ports that the hooks saw libvirt make. */
export function shownByStatus(view: GuestView | null, ports: GuestRecord['ports']): ShownInterface[] {
  return (view?.interfaces ?? []).map(({ alias, mac, network, portgroup, actual }) => {
    const device = actual as Readonly<Record<string, string>> | null;
    return {
      alias,
      mac: mac ?? '',
      network: network ?? undefined,
      portgroup: portgroup ?? undefined,
      type: device?.type ?? 'none',
      bridge: device?.bridge,
      macTableManager: device?.macTableManager,
      dev: device?.dev,
      mode: device?.mode,
      port: ports.find(port => port.mac === mac)?.uuid,
    };
  });
}
