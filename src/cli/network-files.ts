import { type Network, readNetwork } from '../model/network.ts';
import { ActualnetError, asActualnetError, errorLine } from '../report/error.ts';
import type { NetworkLookup } from '../resolve/guest.ts';
import type { LibvirtVersion } from '../resolve/version.ts';
import type { XmlElement } from '../xml/document.ts';
import type { CommandIo } from './io.ts';

/** Networks from files; they count as active and without connections. */
export interface NetworkFiles {
  /** Throws what is wrong with the file of that network. */
  readonly find: NetworkLookup;
  readonly networks: readonly Network[];
  /** A line for each file of the directory that cannot be used. */
  readonly problems: readonly string[];
}

/**
 * Reads the files that are named, each of which must be sound, and those of a directory, where one that is not concerns
 * nobody but who needs its network.
 */
export function readNetworkFiles(
  { named, directory }: { readonly named: readonly string[]; readonly directory: string | undefined },
  version: () => LibvirtVersion,
  io: CommandIo,
): NetworkFiles {
  const found = new Map<string, { file: string; network: Network }>();
  const broken = new Map<string, ActualnetError>();
  for (const file of named) {
    const network = readFile(file, io.readDocument(file).root, version);
    const first = found.get(network.name);
    if (first !== undefined) throw twice(network, first.file, file);
    found.set(network.name, { file, network });
  }
  const problems: string[] = [];
  for (const file of directory === undefined ? [] : io.listFiles(directory)) {
    // Named as libvirt does it, where nothing better is known.
    let name = /([^/]*)\.xml$/.exec(file)?.[1] ?? file;
    try {
      const { root } = io.readListed(file);
      name = nameIn(root) ?? name;
      const network = readFile(file, root, version);
      const first = found.get(network.name);
      if (first !== undefined) throw twice(network, first.file, file);
      found.set(network.name, { file, network });
    } catch (cause) {
      const error = asActualnetError(cause);
      problems.push(errorLine(error));
      // Of two in the directory neither is the right one; one that was named is.
      if (!named.includes(found.get(name)?.file ?? '')) broken.set(name, error);
    }
  }
  return {
    find(name) {
      const error = broken.get(name);
      if (error !== undefined) throw error;
      const network = found.get(name)?.network;
      return network && { network, active: true, ports: [] };
    },
    networks: [...found.values()].map(({ network }) => network),
    problems,
  };
}

function readFile(file: string, root: XmlElement, version: () => LibvirtVersion): Network {
  try {
    return readNetwork(root, version);
  } catch (cause) {
    const { code, message, hint } = asActualnetError(cause);
    throw new ActualnetError(code, `'${file}': ${message}`, { hint, cause });
  }
}

function nameIn(root: XmlElement): string | undefined {
  return (root.name === 'network' ? root : root.child('network'))?.child('name')?.text;
}

function twice({ owner }: Network, first: string, second: string): ActualnetError {
  return new ActualnetError('USAGE', `${owner} is given twice, by '${first}' and by '${second}'`);
}
