import type { XmlElement } from '../xml/document.ts';
import { type PciAddress, readPciAddress } from './pci-address.ts';
import {
  dropUndefined,
  type Owner,
  readManaged,
  readOneOf,
  readRequired,
  readText,
  readYesNo,
  requireChild,
} from './values.ts';

/** `<driver name>` of a host device; which of them a hypervisor has is another question. */
const hostDrivers = ['vfio', 'kvm', 'xen'] as const;

/** `<driver>` of a host device, as far as it is written. */
export interface HostDriver {
  readonly driver?: string;
  /** The kernel's driver or module that it is bound to, instead of the one libvirt would find. */
  readonly driverModel?: string;
  /** QEMU opens the device itself, not its group. */
  readonly iommufd?: boolean;
}

/** The host device behind an interface of type hostdev, or a plain `<hostdev>`. */
export interface HostDevice extends HostDriver {
  /** `pci` for everything that can come from a network. */
  readonly type: string;
  readonly address?: PciAddress;
  readonly managed: boolean;
}

/** Where a host device is and what libvirt does with it, wherever it stands. */
export function readHostDevice(
  owner: Owner,
  element: XmlElement,
  { type = 'pci', source, iommufd }: { type?: string; source: XmlElement | undefined; iommufd: boolean },
): HostDevice {
  const isPci = type === 'pci';
  const driver = isPci ? readHostDriver(owner, element) : {};
  return dropUndefined({
    type,
    address: isPci && source !== undefined ? readPciAddress(owner, source.child('address')) : undefined,
    managed: readManaged(element),
    ...driver,
    iommufd: (isPci && (driver.iommufd ?? iommufd)) || undefined,
  });
}

function readHostDriver(owner: Owner, element: XmlElement): HostDriver {
  const driver = element.child('driver');
  if (driver === undefined) return {};
  return {
    ...dropUndefined({
      driver: readOneOf(owner, driver, 'name', hostDrivers),
      driverModel: readText(driver, 'model'),
      iommufd: readYesNo(owner, driver, 'iommufd'),
    }),
  };
}

/** The host device behind an interface: of PCI, or of USB, which has a vendor or no type. */
export function readInterfaceHostDevice(owner: Owner, element: XmlElement, iommufd: boolean): HostDevice {
  const source = requireChild(owner, element, 'source');
  const isUsb = source.child('vendor') !== undefined;
  const address = isUsb ? source.child('address') : requireChild(owner, source, 'address');
  if (address === undefined) return { type: 'usb', managed: readManaged(element) };
  const type = isUsb ? (readText(address, 'type') ?? 'usb') : readRequired(owner, address, 'type');
  return readHostDevice(owner, element, { type, source, iommufd });
}
