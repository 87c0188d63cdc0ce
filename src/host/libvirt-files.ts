import fs from 'node:fs';
import path from 'node:path';
import { type Domain, readDomain } from '../model/domain.ts';
import { type Network, readNetwork } from '../model/network.ts';
import { type NetworkPort, readNetworkPort } from '../model/network-port.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import type { NetworkState } from '../resolve/network-state.ts';
import { type LibvirtVersion, oldestLibvirtVersion, parseLibvirtVersion } from '../resolve/version.ts';
import type { XmlDocument } from '../xml/document.ts';
import { listDirectory, readFileIfAny, readLinkIfAny } from './files.ts';
import type { HostPaths } from './paths.ts';
import { parseLibvirtFile } from './status-file.ts';

/**
 * A network as libvirt's own files describe it: the run-time status (and the ports beside it) if it is running, else
 * its definition. Asking libvirt is not possible in a hook. The name is only compared with directory entries, it never
 * becomes part of a path.
 */
export function findNetworkInLibvirtFiles(paths: HostPaths, name: string): NetworkState | undefined {
  const running = readNetworkFile(paths.libvirtNetworkStatus, name);
  if (running !== undefined) return { network: running, active: true, ports: readLibvirtPorts(paths, name) };
  const defined = readNetworkFile(paths.libvirtNetworkConfig, name);
  return defined && { network: defined, active: false, ports: [] };
}

/** The ports libvirt keeps beside a running network's status, `NAME/ports/UUID.xml`. */
export function readLibvirtPorts(paths: HostPaths, name: string): NetworkPort[] {
  if (!listDirectory(paths.libvirtNetworkStatus).includes(name)) return [];
  return readPortFiles(path.join(paths.libvirtNetworkStatus, name, 'ports'));
}

/** Every `UUID.xml` in a directory, libvirt's or ours; one that cannot be read is not counted. */
export function readPortFiles(directory: string): NetworkPort[] {
  return readXmlFiles(directory, file => readNetworkPort(parseFile(file).root));
}

/** The guests that libvirt's status files say are running; one whose file cannot be read is left out. */
export function readRunningGuests(paths: HostPaths): Domain[] {
  return readXmlFiles(paths.libvirtGuestStatus, file => readDomain(parseFile(file)));
}

/** The definitions of all guests; likewise. */
export function readGuestDefinitions({ libvirtGuestConfig }: HostPaths): Domain[] {
  return readXmlFiles(libvirtGuestConfig, file => readDomain(parseFile(file)));
}

/** The networks that run, with their ports; likewise. */
export function readRunningNetworks(paths: HostPaths): NetworkState[] {
  return readXmlFiles(paths.libvirtNetworkStatus, file =>
    findNetworkInLibvirtFiles(paths, path.basename(file, '.xml')),
  );
}

/** What `read` makes of each `*.xml` in a directory, without those of which it can make nothing. */
function readXmlFiles<T>(directory: string, read: (file: string) => T | undefined): T[] {
  return listDirectory(directory)
    .filter(entry => entry.endsWith('.xml'))
    .flatMap(entry => {
      try {
        return read(path.join(directory, entry)) ?? [];
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
  const entry = `${name}.xml`;
  return listDirectory(directory).includes(entry) ? path.join(directory, entry) : undefined;
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

function readNetworkFile(directory: string, name: string): Network | undefined {
  const entry = `${name}.xml`;
  if (!listDirectory(directory).includes(entry)) return undefined;
  const file = path.join(directory, entry);
  const content = readFileIfAny(file);
  if (content === undefined) return undefined;
  try {
    return readNetwork(parseLibvirtFile(content).root);
  } catch (cause) {
    const { code, message } = asActualnetError(cause);
    throw new ActualnetError(code, `'${file}': ${message}`, { cause });
  }
}
