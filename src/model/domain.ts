import { ActualnetError } from '../report/error.ts';
import type { XmlDocument, XmlElement } from '../xml/document.ts';
import { type CommandLine, readCommandLine } from './command-line.ts';
import {
  type DocumentForm,
  type HostDevice,
  type Interface,
  readAlias,
  readGuestAddress,
  readHostDevice,
  readInterface,
} from './interface.ts';
import type { PciAddress } from './pci-address.ts';
import { checkListLength, dropUndefined, type Owner, readName, readUuid, type Uuid } from './values.ts';

/** A plain `<hostdev>`; the ones that belong to an interface are derived from it, see `transform/hostdevs`. */
export interface Hostdev extends HostDevice {
  readonly element: XmlElement;
  readonly alias?: string;
  readonly guestAddress?: PciAddress;
}

export interface Domain {
  readonly element: XmlElement;
  readonly owner: Owner;
  readonly name: string;
  readonly uuid?: Uuid;
  readonly form: DocumentForm;
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
  const form = element !== root ? 'status' : element.attribute('id') === undefined ? 'inactive' : 'live';
  const devices = element.childrenNamed('devices').flatMap(child => child.children);
  const named = (wanted: string) => devices.filter(device => device.name === wanted);
  for (const kind of ['interface', 'hostdev']) checkListLength(owner, `${kind}s`, named(kind));
  return dropUndefined({
    element,
    owner,
    name,
    uuid: readUuid(owner, element.child('uuid')),
    form,
    interfaces: named('interface').map((device, index) => readInterface(device, { guest: owner, index, form })),
    hostdevs: named('hostdev').map((device, index) =>
      readHostdev(device, { owner: `${owner}, hostdev ${index}`, form }),
    ),
    commandLine: readCommandLine(element),
  });
}

function readHostdev(element: XmlElement, context: { owner: Owner; form: DocumentForm }): Hostdev {
  const type = element.attribute('type') ?? 'capabilities';
  const address = type === 'pci' ? element.child('source')?.child('address') : undefined;
  return dropUndefined({
    ...readHostDevice(context.owner, element, address),
    type,
    element,
    alias: readAlias(element, context.form),
    guestAddress: readGuestAddress(context.owner, element),
  });
}
