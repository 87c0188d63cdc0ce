import { ActualnetError } from '../report/error.ts';

/** A libvirt version as one number, the way libvirt itself counts: 11.3.0 is 11003000. */
export type LibvirtVersion = number & { readonly brand: 'LibvirtVersion' };

/** Reads `11`, `11.3` or `11.3.0`. */
export function parseLibvirtVersion(text: string): LibvirtVersion {
  const match = /^(\d{1,3})(?:\.(\d{1,3}))?(?:\.(\d{1,3}))?$/.exec(text);
  if (match === null) {
    throw new ActualnetError('USAGE', `'${text}' is not a libvirt version`, { hint: 'write it like 11.3.0' });
  }
  const [major, minor, micro] = match.slice(1).map(part => Number(part ?? 0)) as [number, number, number];
  return (major * 1_000_000 + minor * 1_000 + micro) as LibvirtVersion;
}

export function formatLibvirtVersion(version: LibvirtVersion): string {
  return [Math.trunc(version / 1_000_000), Math.trunc(version / 1_000) % 1_000, version % 1_000].join('.');
}

/** The version taken when the host does not tell: the oldest one whose behaviour is described here. */
export const oldestLibvirtVersion = parseLibvirtVersion('9.0.0');

/** libvirt 11.0.0 taught plain Linux bridges to filter VLANs. */
export function hasVlanOnPlainBridge(version: LibvirtVersion): boolean {
  return version >= parseLibvirtVersion('11.0.0');
}

/** libvirt 10.8.0 lets a network of forward mode open be without an address. */
export function hasOpenWithoutIp(version: LibvirtVersion): boolean {
  return version >= parseLibvirtVersion('10.8.0');
}

/** libvirt 10.0.0 reads `<driver model>` of a host device and of a network. */
export function hasDriverModel(version: LibvirtVersion): boolean {
  return version >= parseLibvirtVersion('10.0.0');
}

/** libvirt 12.1.0 reads `<driver iommufd>`; 12.2.0 also the whole guest's `<iommufd>`. */
export function hasIommufd(version: LibvirtVersion): boolean {
  return version >= parseLibvirtVersion('12.1.0');
}
