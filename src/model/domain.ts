import { ActualnetError } from '../report/error.ts';
import type { XmlDocument, XmlElement } from '../xml/document.ts';
import { type CommandLine, readCommandLine } from './command-line.ts';
import { type HostDevice, readHostDevice } from './host-device.ts';
import {
  type DeviceContext,
  type DocumentForm,
  type Interface,
  readAlias,
  readGuestAddress,
  readInterface,
  readTeaming,
} from './interface.ts';
import type { Reader } from './numbers.ts';
import type { PciAddress } from './pci-address.ts';
import type { GuestName } from './values.ts';
import {
  checkListLength,
  dropUndefined,
  type Owner,
  readName,
  readText,
  readUuid,
  readYesNo,
  type Uuid,
} from './values.ts';

/** A plain `<hostdev>`; the ones that belong to an interface are derived from it, see `transform/hostdevs`. */
export interface Hostdev extends HostDevice {
  readonly element: XmlElement;
  readonly alias?: string;
  readonly guestAddress?: PciAddress;
  readonly teaming?: Interface['teaming'];
}

export interface Domain {
  readonly element: XmlElement;
  readonly owner: Owner;
  readonly name: GuestName;
  readonly uuid?: Uuid;
  readonly form: DocumentForm;
  /** `type` of the document: `kvm`, `qemu`, `xen` ... */
  readonly hypervisor?: string;
  /** `<iommufd enabled='yes'>`: QEMU opens the guest's host devices themselves, unless one says otherwise. */
  readonly iommufd: boolean;
  readonly interfaces: readonly Interface[];
  readonly hostdevs: readonly Hostdev[];
  readonly commandLine: CommandLine;
}

/**
 * Reads a `<domain>`, alone or inside a `<domstatus>`. Unknown elements are ignored.
 *
 * `reader` is the libvirt that reads it. Throws `XML_KIND` for another document and `XML_VALUE`, naming guest, interface and
 * line, for values libvirt refuses.
 */
export function readDomain(document: XmlDocument, reader?: Reader): Domain {
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
  const iommufd = readYesNo(owner, element.child('iommufd'), 'enabled') ?? false;
  const context: DeviceContext = { form, iommufd, reader };
  return dropUndefined({
    element,
    owner,
    name,
    uuid: readUuid(owner, element.child('uuid')),
    form,
    hypervisor: element.attribute('type'),
    iommufd,
    interfaces: named('interface').map((device, index) => readInterface(device, { ...context, guest: owner, index })),
    hostdevs: named('hostdev').map((device, index) => readHostdev(`${owner}, hostdev ${index}`, device, context)),
    commandLine: readCommandLine(element),
  });
}

function readHostdev(owner: Owner, element: XmlElement, { form, iommufd }: DeviceContext): Hostdev {
  const type = readText(element, 'type') ?? 'capabilities';
  return dropUndefined({
    ...readHostDevice(owner, element, { type, source: element.child('source'), iommufd }),
    element,
    alias: readAlias(element, form),
    guestAddress: readGuestAddress(owner, element),
    teaming: readTeaming(owner, element),
  });
}
