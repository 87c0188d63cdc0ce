import type { XmlElement } from '../xml/document.ts';
import { type PciAddress, parsePciAddress } from './pci-address.ts';
import { isMac } from './values.ts';

/** One `-netdev` or `-device` given in `<qemu:commandline>`; `kind` is the backend type or the device's driver. */
export interface CommandLineObject {
  readonly kind: string;
  readonly id?: string;
  readonly options: ReadonlyMap<string, string>;
}

export interface CommandLine {
  readonly netdevs: readonly CommandLineObject[];
  readonly devices: readonly CommandLineObject[];
}

export const qemuNamespace = 'http://libvirt.org/schemas/domain/qemu/1.0';

/** The netdevs and devices an administrator passes to QEMU behind libvirt's back, in order. */
export function readCommandLine(domain: XmlElement): CommandLine {
  const words = wordsOf(domain);
  const after = (option: string) =>
    words.flatMap((word, index) => {
      const value = words[index + 1];
      return (word === `-${option}` || word === `--${option}`) && value !== undefined ? [parseObject(value)] : [];
    });
  return { netdevs: after('netdev'), devices: after('device') };
}

/**
 * The names in the words of the command line that may be those of objects: `netdev=hostnet0`, `-set device.net0.tx=...`,
 * `id=ua-x`, `/machine/peripheral/net0`, JSON. Names of files are none.
 */
export function commandLineNames(domain: XmlElement): ReadonlySet<string> {
  const isFile = (part: string) => /(^|=)\/(?!machine\b)/.test(part);
  const parts = wordsOf(domain).flatMap(word => word.split(/[\s,"'{}[\]]+/));
  return new Set(parts.filter(part => !isFile(part)).flatMap(part => part.split(/[^A-Za-z0-9_-]+/)));
}

function wordsOf(domain: XmlElement): string[] {
  return domain.children
    .filter(child => isQemu(child, 'commandline'))
    .flatMap(commandLine => commandLine.children.filter(child => isQemu(child, 'arg')))
    .map(argument => argument.attribute('value') ?? '');
}

/** The aliases of the devices whose properties `<qemu:override>` sets. */
export function readOverrides(domain: XmlElement): string[] {
  return domain.children
    .filter(child => isQemu(child, 'override'))
    .flatMap(override => override.children.filter(child => isQemu(child, 'device')))
    .flatMap(device => device.attribute('alias') ?? []);
}

/** The name first: a namespace has to be looked for. */
function isQemu(element: XmlElement, name: string): boolean {
  return element.localName === name && element.namespace === qemuNamespace;
}

/** The PCI devices that the command line gives to the guest: `vfio-pci,host=` or `sysfsdev=`. */
export function commandLineHostdevs({ devices }: CommandLine): { address: PciAddress; iommufd: boolean }[] {
  return devices
    .filter(({ kind }) => /^vfio-pci(-nohotplug)?$/.test(kind))
    .flatMap(({ options }) => {
      const address = parsePciAddress(options.get('host') ?? options.get('sysfsdev')?.split('/').at(-1) ?? '');
      return address === undefined ? [] : { address, iommufd: options.has('iommufd') };
    });
}

/** QEMU takes `kind,key=value,...`, where a doubled comma is a comma, or a JSON object. */
function parseObject(text: string): CommandLineObject {
  const options = text.trimStart().startsWith('{') ? parseJsonOptions(text) : parseKeyValueOptions(text);
  const kind = options.get('') ?? options.get('type') ?? options.get('driver') ?? '';
  options.delete('');
  const id = options.get('id');
  return { kind, options, ...(id === undefined ? {} : { id }) };
}

function parseKeyValueOptions(text: string): Map<string, string> {
  const options = new Map<string, string>();
  const parts = text.match(/(?:[^,]|,,)+/g) ?? [];
  parts.forEach((doubled, index) => {
    const part = doubled.replaceAll(',,', ',');
    const equals = part.indexOf('=');
    if (equals === -1) options.set(index === 0 ? '' : part, index === 0 ? part : 'on');
    else options.set(part.slice(0, equals), part.slice(equals + 1));
  });
  return options;
}

function parseJsonOptions(text: string): Map<string, string> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return new Map();
    return new Map(
      Object.entries(value).map(([key, content]) => [
        key,
        typeof content === 'string' ? content : JSON.stringify(content),
      ]),
    );
  } catch {
    return new Map();
  }
}

/** QEMU takes either case, and dashes; what it would not take stays as it is written. */
export function readQemuMac(written: string | undefined): string | undefined {
  const mac = written?.toLowerCase().replaceAll('-', ':');
  return mac === undefined || isMac(mac) ? mac : written;
}
