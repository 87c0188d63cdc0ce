import fs from 'node:fs';
import path from 'node:path';
import { type Domain, readDomain } from '../model/domain.ts';
import { parseUuid, type Uuid } from '../model/values.ts';
import { parseXml } from '../xml/document.ts';
import { listDirectory, readFileIfAny, readKernelFile } from './files.ts';
import type { HostPaths } from './paths.ts';

/** A guest's run state by its status file, `NAME.xml`: state and reason in libvirt's words, and when it was written. */
export interface RunState {
  readonly guest: string;
  readonly state: string;
  readonly reason: string;
  /** That of its QEMU: another one is another life. */
  readonly pid: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Its interfaces and host devices as they stand there: another text when one has come, gone or changed. */
  readonly devices: string;
}

/** Reads the run states of all guests; a file that has not changed since the last time is not read again. */
export function runStateReader(paths: HostPaths): () => RunState[] {
  let known = new Map<string, RunState>();
  return () => {
    const now = new Map<string, RunState>();
    for (const entry of listDirectory(paths.libvirtGuestStatus)) {
      if (!entry.endsWith('.xml')) continue;
      const before = known.get(entry);
      const atMs = writtenMs(path.join(paths.libvirtGuestStatus, entry));
      const state = before?.atMs === atMs ? before : tryReadRunState(paths, entry.slice(0, -'.xml'.length));
      // One that cannot be read now says what it said before.
      const said = state ?? before;
      if (said !== undefined) now.set(entry, said);
    }
    known = now;
    return [...now.values()];
  };
}

/** The same for those whose work does not end with a bad file. */
export function tryReadRunState(paths: HostPaths, guest: string): RunState | undefined {
  try {
    return readRunState(paths, guest);
  } catch {
    return undefined;
  }
}

/** One guest's run state; undefined if it does not run, or its file cannot be read. */
function readRunState(paths: HostPaths, guest: string): RunState | undefined {
  const file = statusFile(paths, guest);
  if (file === undefined) return undefined;
  const atMs = writtenMs(file);
  const text = readFileIfAny(file)?.toString() ?? '';
  const element = /<domstatus ([^>]*)>/.exec(text.slice(0, 4096))?.[1];
  if (element === undefined || atMs === undefined) return undefined;
  const attribute = (name: string) => new RegExp(`\\b${name}=(['"])(.*?)\\1`).exec(element)?.[2] ?? '';
  const devices = (text.match(/<(interface|hostdev)[ >][\s\S]*?<\/\1>/g) ?? []).join('\n');
  return { guest, state: attribute('state'), reason: attribute('reason'), pid: attribute('pid'), atMs, devices };
}

/**
 * Whether a guest's QEMU has ended: it has a status file until libvirt has cleaned up behind it. A process that ends gives up
 * its memory, and with it its command line, before its files: before its taps are gone.
 */
export function hasEnded(paths: HostPaths, guest: string): boolean {
  const pid = tryReadRunState(paths, guest)?.pid;
  return pid === undefined || readKernelFile(paths.proc, pid, 'cmdline') === '';
}

/** A running guest as libvirt's status file has it; undefined if it does not run. Throws for a file that is no such document. */
export function readRunningGuest(paths: HostPaths, guest: string): Domain | undefined {
  const file = statusFile(paths, guest);
  const content = file === undefined ? undefined : readFileIfAny(file);
  return content === undefined ? undefined : readDomain(parseXml(content));
}

/**
 * Whether a guest runs by its status file, told without reading whole documents: there may be a thousand. Behind a file in
 * which no uuid can be found runs whoever has its name.
 */
export function runningGuests(paths: HostPaths): (guest: Uuid, name: string | undefined) => boolean {
  const uuids = new Set<Uuid>();
  const names = new Set<string>();
  for (const entry of listDirectory(paths.libvirtGuestStatus).filter(each => each.endsWith('.xml'))) {
    const text = readFileIfAny(path.join(paths.libvirtGuestStatus, entry))?.toString() ?? '';
    const uuid = parseUuid(/<domain [^>]*>\s*<name>[^<]*<\/name>\s*<uuid>([^<]*)<\/uuid>/.exec(text)?.[1] ?? '');
    if (uuid === undefined) names.add(entry.slice(0, -'.xml'.length));
    else uuids.add(uuid);
  }
  return (guest, name) => uuids.has(guest) || (name !== undefined && names.has(name));
}

/** No name of a guest can lead elsewhere: libvirt allows none with a slash, and neither do we. */
function statusFile({ libvirtGuestStatus }: HostPaths, guest: string): string | undefined {
  const file = path.join(libvirtGuestStatus, `${guest}.xml`);
  return /[/\0]/.test(guest) || writtenMs(file) === undefined ? undefined : file;
}

function writtenMs(file: string): number | undefined {
  return fs.lstatSync(file, { throwIfNoEntry: false })?.mtimeMs;
}
