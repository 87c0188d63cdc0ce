import path from 'node:path';
import { type Network, readNetwork } from '../../model/network.ts';
import { readNetworkPort } from '../../model/network-port.ts';
import { parseUuid, type Uuid } from '../../model/values.ts';
import { asActualnetError } from '../../report/error.ts';
import type { CountedPort, NetworkState } from '../../resolve/network-state.ts';
import { parseXml } from '../../xml/document.ts';
import {
  appendLine,
  createMarker,
  fileAgeMs,
  fileMentions,
  listDirectory,
  readFileIfAny,
  removeDirectory,
  removeFile,
  requirePrivate,
  writeFileAtomically,
} from '../files.ts';
import { findNetworkInLibvirtFiles, readLibvirtPorts } from '../libvirt/files.ts';
import type { HostPaths } from '../paths.ts';
import { fileNameOf } from './file-names.ts';
import { forgetOwnPort, readOwnPorts, rememberOwnPort } from './own-ports.ts';

/** What the hooks remember between calls. */
export interface Memory {
  /** A network as last seen by the network hook, else from libvirt's files. */
  findNetwork(name: string): NetworkState | undefined;
  /** The same by libvirt's files alone: they are right where a call to us was lost. */
  findLibvirtNetwork(name: string): NetworkState | undefined;
  /** A running network, as the network hook shows it. */
  rememberNetwork(name: string, xml: string): void;
  forgetNetwork(name: string): void;
  rememberPort(network: string, port: { uuid: Uuid; xml: string }): void;
  forgetPort(network: string, uuid: Uuid): void;
  /** Whether any of these texts is in a guest's record as it is written. */
  recordMentions(guest: Uuid, texts: readonly string[]): boolean;
  /** The lines of a guest's record; empty when there is none. */
  readRecord(guest: Uuid): readonly unknown[];
  appendRecord(guest: Uuid, line: object): void;
  removeRecord(guest: Uuid): void;
  listRecords(): readonly Uuid[];
  /** A line for each record and announcement that is there and cannot be read: it counts as empty, and is kept. */
  listUnreadable(): readonly string[];
  /** A guest that `migrate` or `restore` told us to expect; it has no record yet and may never come. */
  announce(guest: Uuid, line: object): void;
  takeAnnouncement(guest: Uuid): unknown;
  listAnnouncements(): readonly { readonly guest: Uuid; readonly line: unknown }[];
  /** One host's part in a migration, kept until the next boot; of many only the newest. */
  noteCutOver(cutOver: object): void;
  readCutOvers(): readonly unknown[];
  /** What the agent of this host knows; undefined takes it away. */
  noteAgentState(state: object | undefined): void;
  readAgentState(): unknown;
  /** True the first time it is asked for `topic`. */
  isFirst(topic: string): boolean;
}

/** An announced guest that has not started by then is not coming. */
const announcementLifeMs = 3600_000;

const keptCutOvers = 1000;

/**
 * Memory in files below `/run/actualnet`:
 *
 *     networks/NAME/network.json, networks/NAME/UUID~...    a network and its ports (own-ports.ts)
 *     guests/UUID.jsonl                                    a guest's record, one line for each call
 *     announced/UUID.json                                  an expected guest
 *     migrations.jsonl                                     when guests that migrated were opened and closed here
 *     witness.json                                         what the agent knows
 *     seen/TOPIC                                           what was logged once
 *
 * A port has a file of its own, so that calls for two guests never rewrite the same file.
 */
export function fileMemory(paths: HostPaths, clock: () => number): Memory {
  const inState = (...parts: string[]) => path.join(paths.state, ...parts);
  const networkDirectory = (name: string) => inState('networks', fileNameOf(name));
  const recordFile = (guest: Uuid) => inState('guests', `${guest}.jsonl`);
  const announcementFile = (guest: Uuid) => inState('announced', `${guest}.json`);
  const cutOverFile = inState('migrations.jsonl');
  const agentFile = inState('witness.json');
  const uuidsIn = (directory: string) =>
    listDirectory(inState(directory)).flatMap(entry => parseUuid(entry.split('.')[0]!) ?? []);

  const readRemembered = (name: string): RememberedNetwork | undefined => {
    const remembered = parseJson(readOwn(path.join(networkDirectory(name), 'network.json')));
    return isRememberedNetwork(remembered) && remembered.name === name ? remembered : undefined;
  };

  const memory: Memory = {
    findNetwork(name) {
      const remembered = readRemembered(name);
      const network = remembered && parseOwnNetwork(remembered);
      if (remembered === undefined || network === undefined) return findNetworkInLibvirtFiles(paths, name);
      let ports: readonly CountedPort[] | undefined;
      return {
        network,
        active: true,
        // Only pools and floors are counted; a bridge network with hundreds of ports need not read them.
        get ports() {
          ports ??= readOwnPorts(networkDirectory(name));
          return ports;
        },
      };
    },
    findLibvirtNetwork: name => findNetworkInLibvirtFiles(paths, name) ?? memory.findNetwork(name),
    rememberNetwork(name, xml) {
      // Installed while the network was running: its earlier ports are in libvirt's files only.
      if (readRemembered(name) === undefined) {
        for (const port of readLibvirtPorts(paths, name)) {
          rememberOwnPort(networkDirectory(name), port);
        }
      }
      writeFileAtomically(path.join(networkDirectory(name), 'network.json'), JSON.stringify({ name, xml }));
    },
    forgetNetwork: name => removeDirectory(networkDirectory(name)),
    rememberPort: (network, { xml }) => rememberOwnPort(networkDirectory(network), readNetworkPort(parseXml(xml).root)),
    forgetPort: (network, uuid) => forgetOwnPort(networkDirectory(network), uuid),

    recordMentions: (guest, texts) => fileMentions(recordFile(guest), texts),
    readRecord(guest) {
      return parseJsonLines(readOwn(recordFile(guest)));
    },
    appendRecord: (guest, line) => appendLine(recordFile(guest), JSON.stringify(line)),
    removeRecord: guest => removeFile(recordFile(guest)),
    listRecords: () => uuidsIn('guests'),
    listUnreadable: () => [
      ...['', 'guests', 'announced', 'networks', 'ledgers', 'shared', 'locks'].flatMap(
        directory => why(() => requirePrivate(inState(directory))) ?? [],
      ),
      ...uuidsIn('guests').flatMap(guest => whyUnreadable(recordFile(guest)) ?? []),
      ...uuidsIn('announced').flatMap(guest => whyUnreadable(announcementFile(guest)) ?? []),
    ],

    announce(guest, line) {
      memory.listAnnouncements();
      writeFileAtomically(announcementFile(guest), JSON.stringify(line));
    },
    takeAnnouncement(guest) {
      const line = memory.listAnnouncements().find(announced => announced.guest === guest)?.line;
      if (line !== undefined) removeFile(announcementFile(guest));
      return line;
    },
    listAnnouncements() {
      return uuidsIn('announced').flatMap(guest => {
        const file = announcementFile(guest);
        if ((fileAgeMs(file, clock()) ?? 0) > announcementLifeMs && whyUnreadable(file) === undefined) removeFile(file);
        const line = parseJson(readOwn(file));
        return line === undefined ? [] : [{ guest, line }];
      });
    },

    noteCutOver(cutOver) {
      const lines = memory.readCutOvers();
      if (lines.length < 2 * keptCutOvers) appendLine(cutOverFile, JSON.stringify(cutOver));
      else writeFileAtomically(cutOverFile, textOfLines([...lines.slice(-keptCutOvers), cutOver as unknown]));
    },
    readCutOvers: () => parseJsonLines(readOwn(cutOverFile)),

    noteAgentState(state) {
      if (state === undefined) removeFile(agentFile);
      else writeFileAtomically(agentFile, JSON.stringify(state));
    },
    readAgentState: () => parseJson(readOwn(agentFile)),

    isFirst: topic => createMarker(inState('seen', fileNameOf(topic))),
  };
  return memory;
}

/** The JSON values in a text of lines; what is no JSON object is passed over. */
export function parseJsonLines(text: string): unknown[] {
  const lines = text.split('\n');
  return lines.filter(line => line.startsWith('{')).flatMap(line => parseJson(line) ?? []);
}

function textOfLines(lines: readonly unknown[]): string {
  return lines.map(line => `${JSON.stringify(line)}\n`).join('');
}

interface RememberedNetwork {
  readonly name: string;
  readonly xml: string;
}

function isRememberedNetwork(value: unknown): value is RememberedNetwork {
  const { name, xml } = (value ?? {}) as Partial<RememberedNetwork>;
  return typeof name === 'string' && typeof xml === 'string';
}

/** A file of ours that cannot be read or used counts as absent: what it said is learnt again, or read from libvirt's. */
function readOwn(file: string): string {
  try {
    requirePrivate(path.dirname(file));
    return readFileIfAny(file)?.toString() ?? '';
  } catch {
    return '';
  }
}

function whyUnreadable(file: string): string | undefined {
  return why(() => readFileIfAny(file));
}

function why(look: () => unknown): string | undefined {
  try {
    look();
    return undefined;
  } catch (error) {
    return asActualnetError(error).message;
  }
}

function parseOwnNetwork({ xml }: RememberedNetwork): Network | undefined {
  try {
    return readNetwork(parseXml(xml).root);
  } catch {
    return undefined;
  }
}

function parseJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
