import type { Domain, Hostdev } from '../model/domain.ts';
import { readText } from '../model/values.ts';
import { ActualnetError } from '../report/error.ts';

/** The kinds of host device that libvirt has. */
const hostdevTypes = ['usb', 'pci', 'scsi', 'scsi_host', 'mdev'];

/** What libvirt refuses of a plain `<hostdev>`, at its definition or at its start; undefined if nothing. */
export function hostdevRefusal(hostdev: Hostdev, { owner, hypervisor, hostdevs }: Domain): ActualnetError | undefined {
  const { element, teaming } = hostdev;
  const mode = element.attribute('mode') ?? 'subsystem';
  if (mode === 'capabilities') return undefined;
  const type = readText(element, 'type');
  const what = `${owner}, hostdev ${hostdevs.indexOf(hostdev)}`;
  const refuse = (why: string, hint?: string) => new ActualnetError('ACTUAL_UNSUPPORTED', `${what}: ${why}`, { hint });
  if (mode !== 'subsystem') return refuse(`it has the mode '${mode}'`, 'possible are subsystem, capabilities');
  if (type === undefined || !hostdevTypes.includes(type))
    return refuse(
      `it has ${type === undefined ? 'no type' : `the type '${type}'`}`,
      `possible are ${hostdevTypes.join(', ')}`,
    );
  if (element.child('source') === undefined) return refuse('it has no <source>', 'name the device of this host in it');
  const driver = driverRefusal(hostdev, hypervisor);
  if (driver !== undefined) return refuse(driver, "leave <driver name> out, or write 'vfio'");
  if (teaming?.type === 'persistent') return refuse("it can only be the 'transient' member of a team");
  return undefined;
}

/** QEMU has one way to give a device to a guest. libvirt reads the words of the others, and refuses the start. */
export function driverRefusal(
  { driver }: { readonly driver?: string | undefined },
  hypervisor: string | undefined,
): string | undefined {
  if (driver === undefined || driver === 'vfio' || (driver === 'xen' && hypervisor === 'xen')) return undefined;
  return `its driver is '${driver}', and QEMU can be given a device by 'vfio' only`;
}
