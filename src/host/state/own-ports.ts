import path from 'node:path';
import type { NetworkPort, Plug } from '../../model/network-port.ts';
import { isPciAddress } from '../../model/pci-address.ts';
import { parseUuid, type Uuid } from '../../model/values.ts';
import type { CountedPort } from '../../resolve/network-state.ts';
import { createMarker, listDirectory, readListedFile, removeFile, writeFileAtomically } from '../files.ts';
import { readPortFiles } from '../libvirt/files.ts';
import { fileNameOf, nameOfFile } from './file-names.ts';

/*
 * A network's ports as they are counted, one file for each: `UUID~direct~eth0.port`, `UUID~hostdev-pci~ADDRESS.port`,
 * `UUID~bridge~br0~share.port`. The name says all that most ports are counted by, so that a thousand are told in one look at
 * the directory; of those with a share of the network's bandwidth the file says the rest.
 */

const ending = '.port';

export function rememberOwnPort(directory: string, port: NetworkPort): void {
  const { uuid, plug, classId, bandwidth } = port;
  const hasShare = classId !== undefined || bandwidth !== undefined;
  const words = [uuid, plug?.type ?? '', fileNameOf(deviceOf(plug)), ...(hasShare ? ['share'] : [])];
  const entry = words.join('~') + ending;
  const file = path.join(directory, entry);
  if (!hasShare) createMarker(file);
  else writeFileAtomically(file, JSON.stringify({ classId, bandwidth }));
  for (const other of entriesOf(directory, uuid)) if (other !== entry) removeFile(path.join(directory, other));
}

export function forgetOwnPort(directory: string, uuid: Uuid): void {
  for (const entry of entriesOf(directory, uuid)) removeFile(path.join(directory, entry));
}

/** What cannot be read is not counted. Beside them may be libvirt's own documents, from before ports were kept like this. */
export function readOwnPorts(directory: string): CountedPort[] {
  const counted = listDirectory(directory).flatMap(entry => {
    if (!entry.endsWith(ending)) return [];
    const [uuid = '', type = '', device = '', share] = entry.slice(0, -ending.length).split('~');
    const parsed = parseUuid(uuid);
    const plug = plugOf(type, nameOfFile(device));
    const rest = share === undefined ? {} : shareIn(path.join(directory, entry));
    return parsed === undefined ? [] : { uuid: parsed, ...(plug && { plug }), ...rest };
  });
  return [...counted, ...readPortFiles(directory)];
}

function entriesOf(directory: string, uuid: Uuid): string[] {
  return listDirectory(directory).filter(entry => entry.startsWith(`${uuid}~`) || entry === `${uuid}.xml`);
}

function deviceOf(plug: Plug | undefined): string {
  if (plug === undefined) return '';
  if (plug.type === 'direct') return plug.dev;
  return plug.type === 'hostdev-pci' ? (plug.address ?? '') : plug.bridge;
}

/** Mode and driver are not counted by. */
function plugOf(type: string, device: string): Plug | undefined {
  switch (type) {
    case 'network':
    case 'bridge':
      return { type, bridge: device };
    case 'direct':
      return { type, dev: device, mode: 'bridge' };
    case 'hostdev-pci':
      return isPciAddress(device) ? { type, address: device, managed: false } : undefined;
    default:
      return undefined;
  }
}

function shareIn(file: string): Pick<CountedPort, 'classId' | 'bandwidth'> {
  try {
    const text = readListedFile(file)?.toString() ?? '';
    return text === '' ? {} : (JSON.parse(text) as Pick<CountedPort, 'classId' | 'bandwidth'>);
  } catch {
    return {};
  }
}
