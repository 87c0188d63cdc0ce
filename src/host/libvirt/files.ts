import fs from 'node:fs';
import path from 'node:path';
import { type Domain, readDomain } from '../../model/domain.ts';
import { type Network, readNetwork } from '../../model/network.ts';
import { type NetworkPort, readNetworkPort } from '../../model/network-port.ts';
import { ActualnetError, asActualnetError } from '../../report/error.ts';
import type { NetworkState } from '../../resolve/network-state.ts';
import { type LibvirtVersion, oldestLibvirtVersion, parseLibvirtVersion } from '../../resolve/version.ts';
import type { XmlDocument } from '../../xml/document.ts';
import { exists, listDirectory, readFileIfAny, readLinkIfAny, readListedFile } from '../files.ts';
import type { HostPaths } from '../paths.ts';
import { parseLibvirtFile, readDevices } from './status-file.ts';

/**
 * A network as libvirt's own files describe it: the run-time status (and the ports beside it) if it is running, else
 * its definition. Asking libvirt is not possible in a hook. libvirt keeps a network in the file of its name, which is the only
 * one that is read, however many there are.
 */
export function findNetworkInLibvirtFiles(paths: HostPaths, name: string): NetworkState | undefined {
  const running = readNetworkFile(paths.libvirtNetworkStatus, name);
  if (running !== undefined) return { network: running, active: true, ports: readLibvirtPorts(paths, name) };
  const defined = readNetworkFile(paths.libvirtNetworkConfig, name);
  return defined && { network: defined, active: false, ports: [] };
}

/** The ports libvirt keeps beside a running network's status, `NAME/ports/UUID.xml`. */
export function readLibvirtPorts(paths: HostPaths, name: string): NetworkPort[] {
  return isFileName(name) ? readPortFiles(path.join(paths.libvirtNetworkStatus, name, 'ports')) : [];
}

/** What a file must have in it as it is written for anybody to read it as a whole. */
export type Wanted = (content: Buffer) => boolean;

/** Whether a status file or a port may be about a host device or a macvtap: most are not. */
export const mayHaveHostDevice: Wanted = content =>
  content.includes('hostdev') || content.includes("'direct'") || content.includes('"direct"');

/** Every `UUID.xml` in a directory, libvirt's or ours; one that cannot be read is not counted. */
export function readPortFiles(directory: string, isWanted?: Wanted): NetworkPort[] {
  return readXmlFiles(directory, isWanted, content => readNetworkPort(parseLibvirtFile(content).root));
}

/** The guests that libvirt's status files say are running, with their devices; one whose file cannot be read is left out. */
export function readRunningGuests(paths: HostPaths, isWanted?: Wanted): Domain[] {
  return readXmlFiles(paths.libvirtGuestStatus, isWanted, readDevices);
}

/** The definitions of all guests; likewise. */
export function readGuestDefinitions({ libvirtGuestConfig }: HostPaths): Domain[] {
  return readXmlFiles(libvirtGuestConfig, undefined, content => readDomain(parseLibvirtFile(content)));
}

/** The networks that run; likewise. */
export function readRunningNetworks(paths: HostPaths, isWanted?: Wanted): Network[] {
  return readXmlFiles(paths.libvirtNetworkStatus, isWanted, content => readNetwork(parseLibvirtFile(content).root));
}

/** The ports of all networks that run; likewise. */
export function readRunningPorts(paths: HostPaths, isWanted?: Wanted): { network: string; port: NetworkPort }[] {
  const networks = listDirectory(paths.libvirtNetworkStatus).filter(entry => entry.endsWith('.xml'));
  return networks.flatMap(entry => {
    const network = path.basename(entry, '.xml');
    const ports = readPortFiles(path.join(paths.libvirtNetworkStatus, network, 'ports'), isWanted);
    return ports.map(port => ({ network, port }));
  });
}

/** What `read` makes of each `*.xml` in a directory that is wanted, without those of which it can make nothing. */
function readXmlFiles<T>(directory: string, isWanted: Wanted | undefined, read: (content: Buffer) => T): T[] {
  return listDirectory(directory)
    .filter(entry => entry.endsWith('.xml'))
    .flatMap(entry => {
      try {
        const content = readListedFile(path.join(directory, entry));
        return content === undefined || isWanted?.(content) === false ? [] : read(content);
      } catch {
        return [];
      }
    });
}

function parseFile(file: string): XmlDocument {
  return parseLibvirtFile(readFileIfAny(file) ?? Buffer.alloc(0));
}

/** The definition that a guest starts from; undefined if it has none. */
export function findGuestDefinition(
  { libvirtGuestConfig }: HostPaths,
  name: string,
): { readonly file: string; readonly document: XmlDocument } | undefined {
  const file = definitionFile(libvirtGuestConfig, name);
  return file === undefined ? undefined : { file, document: parseFile(file) };
}

/** When that was written, milliseconds since 1970. */
export function definitionWrittenMs({ libvirtGuestConfig }: HostPaths, name: string): number | undefined {
  const file = definitionFile(libvirtGuestConfig, name);
  return file === undefined ? undefined : fs.lstatSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

function definitionFile(directory: string, name: string): string | undefined {
  const file = path.join(directory, `${name}.xml`);
  return isFileName(name) && exists(file) ? file : undefined;
}

/** libvirt allows no name that would lead elsewhere. */
function isFileName(name: string): boolean {
  return !/[/\0]/.test(name) && name !== '' && name !== '.' && name !== '..';
}

/** The VFs whose state libvirt has put aside, as `PF_vfN`, the names of its files. */
export function listKeptByLibvirt(paths: HostPaths): string[] {
  return listDirectory(paths.libvirtHostdevState);
}

/** libvirt's version from where its library's link points, `libvirt.so.0.11003.0`; the oldest known one if there is none. */
export function findLibvirtVersion(paths: HostPaths): LibvirtVersion {
  const lib = path.join(paths.libraries, 'lib');
  const multiarch = listDirectory(lib).filter(name => name.endsWith('-linux-gnu'));
  const directories = [path.join(paths.libraries, 'lib64'), lib, ...multiarch.map(name => path.join(lib, name))];
  for (const directory of directories) {
    const match = /\.so\.0\.(\d+)\.(\d+)$/.exec(readLinkIfAny(path.join(directory, 'libvirt.so.0')) ?? '');
    const release = Number(match?.[1]);
    if (match !== null) return parseLibvirtVersion(`${Math.trunc(release / 1000)}.${release % 1000}.${match[2]}`);
  }
  return oldestLibvirtVersion;
}

/** The name inside has the last word: a file may have been copied. */
function readNetworkFile(directory: string, name: string): Network | undefined {
  if (!isFileName(name)) return undefined;
  const file = path.join(directory, `${name}.xml`);
  const content = readFileIfAny(file);
  if (content === undefined) return undefined;
  try {
    const network = readNetwork(parseLibvirtFile(content).root);
    return network.name === name ? network : undefined;
  } catch (cause) {
    const { code, message } = asActualnetError(cause);
    throw new ActualnetError(code, `'${file}': ${message}`, { cause });
  }
}
