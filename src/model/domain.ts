import { ActualnetError } from '../report/error.ts';
import type { XmlDocument, XmlElement } from '../xml/document.ts';
import { type CommandLine, readCommandLine } from './command-line.ts';
import { type HostDevice, type Interface, readAlias, readHostDevice, readInterface } from './interface.ts';
import { dropUndefined, type Owner, readName, readUuid, type Uuid } from './values.ts';

/** A plain `<hostdev>`; the ones that belong to an interface are derived from it, see `transform/hostdevs`. */
export interface Hostdev extends HostDevice {
  readonly element: XmlElement;
  readonly alias?: string;
}

export interface Domain {
  readonly element: XmlElement;
  readonly owner: Owner;
  readonly name: string;
  readonly uuid?: Uuid;
  /** Has a domain id or is a status document: aliases and connections in it are libvirt's own. */
  readonly live: boolean;
  readonly interfaces: readonly Interface[];
  readonly hostdevs: readonly Hostdev[];
  readonly commandLine: CommandLine;
}

/**
 * Reads a `<domain>`, alone or inside a `<domstatus>`. Unknown elements are ignored.
 *
 * Throws `XML_KIND` for another document and `XML_VALUE`, naming guest, interface and line, for values libvirt refuses.
 */
export function readDomain(document: XmlDocument): Domain {
  const { root } = document;
  const element = root.name === 'domstatus' ? root.child('domain') : root;
  if (element?.name !== 'domain') {
    throw new ActualnetError('XML_KIND', `the document is a <${root.name}>, not a <domain>`);
  }
  const name = readName('the guest', element);
  const owner = `guest '${name}'`;
  const live = element !== root || element.attribute('id') !== undefined;
  const devices = element.childrenNamed('devices').flatMap(child => child.children);
  const named = (wanted: string) => devices.filter(device => device.name === wanted);
  return dropUndefined({
    element,
    owner,
    name,
    uuid: readUuid(owner, element.child('uuid')),
    live,
    interfaces: named('interface').map((device, index) => readInterface(device, { guest: owner, index, live })),
    hostdevs: named('hostdev').map((device, index) =>
      readHostdev(device, { owner: `${owner}, hostdev ${index}`, live }),
    ),
    commandLine: readCommandLine(element),
  });
}

function readHostdev(element: XmlElement, context: { owner: Owner; live: boolean }): Hostdev {
  const type = element.attribute('type') ?? 'capabilities';
  const address = type === 'pci' ? element.child('source')?.child('address') : undefined;
  return dropUndefined({
    ...readHostDevice(context.owner, element, address),
    type,
    element,
    alias: readAlias(element, context.live),
  });
}
