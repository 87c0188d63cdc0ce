import fs from 'node:fs';
import path from 'node:path';
import { setImmediate as othersTurn } from 'node:timers/promises';
import { type Domain, readDomain } from '../../model/domain.ts';
import type { GuestName, Uuid } from '../../model/values.ts';
import { listDirectory, readFileIfAny, readKernelFile } from '../files.ts';
import { once } from '../once.ts';
import type { HostPaths } from '../paths.ts';
import { outlineStatus, parseLibvirtFile } from './status-file.ts';

/** A guest's run state by its status file, `NAME.xml`: state and reason in libvirt's words, and when it was written. */
export interface RunState {
  readonly guest: GuestName;
  readonly state: string;
  readonly reason: string;
  /** That of its QEMU: another one is another life. */
  readonly pid: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Its interfaces and host devices as they stand there: another text when one has come, gone or changed. */
  readonly devices: string;
}

/** Others have their turn after so much has been read. */
const turnBytes = 256 * 1024;

/**
 * Reads the run states of all guests; a file that has not changed since the last time is not read again. Between large files
 * whatever else is due has its turn.
 */
export function runStateReader(paths: HostPaths): () => Promise<RunState[]> {
  let known = new Map<string, { readonly version: string; readonly state: RunState }>();
  return async () => {
    const now: typeof known = new Map();
    let read = 0;
    for (const entry of listDirectory(paths.libvirtGuestStatus)) {
      if (!entry.endsWith('.xml')) continue;
      const before = known.get(entry);
      const seen = lookAt(path.join(paths.libvirtGuestStatus, entry));
      const isSame = seen !== undefined && before?.version === seen.version;
      const state = isSame ? before.state : tryReadRunState(paths, entry.slice(0, -'.xml'.length));
      // One that cannot be read now says what it said before.
      if (state !== undefined && seen !== undefined) now.set(entry, { version: seen.version, state });
      else if (before !== undefined) now.set(entry, { ...before, version: '' });
      if (!isSame) read += seen?.size ?? 0;
      if (read < turnBytes) continue;
      read = 0;
      await othersTurn();
    }
    known = now;
    return [...now.values()].map(({ state }) => state);
  };
}

/** A file that was replaced is another one, whatever the clock said then. */
function lookAt(file: string): { readonly version: string; readonly size: number } | undefined {
  const status = fs.lstatSync(file, { throwIfNoEntry: false });
  if (status === undefined) return undefined;
  const { ino, size, mtimeMs, ctimeMs } = status;
  return { version: [ino, size, mtimeMs, ctimeMs].join(), size };
}

/** The same for those whose work does not end with a bad file. */
export function tryReadRunState(paths: HostPaths, guest: GuestName): RunState | undefined {
  try {
    return readRunState(paths, guest);
  } catch {
    return undefined;
  }
}

/** One guest's run state; undefined if it does not run, or its file cannot be read. */
function readRunState(paths: HostPaths, guest: GuestName): RunState | undefined {
  const file = statusFile(paths, guest);
  if (file === undefined) return undefined;
  const atMs = writtenMs(file);
  const content = readFileIfAny(file);
  if (content === undefined || atMs === undefined) return undefined;
  const { attribute, devices: shown, isWhole } = outlineStatus(content);
  if (attribute === undefined) return undefined;
  // Nobody knows what is missing: any writing of it may be about a device.
  const devices = isWhole ? shown : `not readable, written ${atMs}`;
  return { guest, state: attribute('state'), reason: attribute('reason'), pid: attribute('pid'), atMs, devices };
}

/**
 * Whether a guest's QEMU has ended: it has a status file until libvirt has cleaned up behind it. A process that ends gives up
 * its memory, and with it its command line, before its files: before its taps are gone.
 */
export function hasEnded(paths: HostPaths, guest: GuestName): boolean {
  const pid = tryReadRunState(paths, guest)?.pid;
  return pid === undefined || readKernelFile(paths.proc, pid, 'cmdline') === '';
}

/** A running guest as libvirt's status file has it; undefined if it does not run. Throws for a file that is no such document. */
export function readRunningGuest(paths: HostPaths, guest: GuestName): Domain | undefined {
  const file = statusFile(paths, guest);
  const content = file === undefined ? undefined : readFileIfAny(file);
  return content === undefined ? undefined : readDomain(parseLibvirtFile(content));
}

/**
 * Whether a guest runs by its status file: usually told by the one file that has its name, since no guest is renamed while it
 * runs. Only for one that is not behind it all files are looked through, once. Behind a file in which no uuid can be found
 * runs whoever has its name.
 */
export function runningGuests(paths: HostPaths): (guest: Uuid, name: GuestName | undefined) => boolean {
  const uuids = once(() => {
    const entries = listDirectory(paths.libvirtGuestStatus).filter(entry => entry.endsWith('.xml'));
    return new Set(entries.map(entry => uuidIn(path.join(paths.libvirtGuestStatus, entry))));
  });
  return (guest, name) => {
    const file = name === undefined ? undefined : statusFile(paths, name);
    const named = file === undefined ? 'none' : uuidIn(file);
    return named === undefined || named === guest || uuids().has(guest);
  };
}

/** The uuid in a guest's status file, if that much of it can be read. */
export function statusUuid(paths: HostPaths, guest: GuestName): Uuid | undefined {
  const file = statusFile(paths, guest);
  return file === undefined ? undefined : uuidIn(file);
}

function uuidIn(statusFile: string): Uuid | undefined {
  try {
    const content = readFileIfAny(statusFile);
    return content && outlineStatus(content).uuid;
  } catch {
    return undefined;
  }
}

/** No name of a guest can lead elsewhere: libvirt allows none with a slash, and neither do we. */
function statusFile({ libvirtGuestStatus }: HostPaths, guest: GuestName): string | undefined {
  const file = path.join(libvirtGuestStatus, `${guest}.xml`);
  return /[/\0]/.test(guest) || writtenMs(file) === undefined ? undefined : file;
}

function writtenMs(file: string): number | undefined {
  return fs.lstatSync(file, { throwIfNoEntry: false })?.mtimeMs;
}
