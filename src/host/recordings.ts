import fs from 'node:fs';
import path from 'node:path';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import { exists, readListedFile, requirePrivate } from './files.ts';
import { fileNameOf } from './state/file-names.ts';

/** Of the calls that are kept the oldest go; while little is free on the disk none is kept. */
export const recordingLimits = {
  calls: 500,
  bytesInAll: 64 * 1024 * 1024,
  bytesOfCall: 8 * 1024 * 1024,
  freeBytes: 256 * 1024 * 1024,
} as const;

const namePattern = /^\d{15}-\d+-(qemu|network)-.*\.json$/;

/** Refuses a directory in which others could read or write. Throws `FILE`. */
export function checkRecordingDirectory(directory: string): void {
  if (!path.isAbsolute(directory)) refuse(directory, 'its path does not begin with a slash');
  if (!exists(directory)) refuse(directory, 'there is none');
  requirePrivate(directory);
  if ((fs.lstatSync(directory).mode & 0o077) !== 0) refuse(directory, 'others may look into it');
  const { bavail, bsize } = fs.statfsSync(directory);
  if (bavail * bsize < recordingLimits.freeBytes)
    refuse(directory, `less than ${recordingLimits.freeBytes >> 20} MiB are free there`);
}

function refuse(directory: string, why: string): never {
  throw new ActualnetError('FILE', `cannot record calls in '${directory}': ${why}`, {
    hint: 'a directory of root with mode 0700 is needed',
  });
}

/** Keeps a call, named after when it came and what it was, and lets the oldest go. */
export function keepRecording(
  directory: string,
  { atMs, words, text }: { readonly atMs: number; readonly words: readonly string[]; readonly text: string },
): void {
  if (Buffer.byteLength(text) > recordingLimits.bytesOfCall)
    throw new ActualnetError('FILE', `a call larger than ${recordingLimits.bytesOfCall} bytes is not recorded`);
  const what = words.map(word => fileNameOf(word).slice(0, 60)).join('-');
  const name = `${String(atMs).padStart(15, '0')}-${process.pid}-${what}.json`;
  const temporary = path.join(directory, `.${name}`);
  try {
    fs.writeFileSync(temporary, text, { flag: 'wx', mode: 0o600 });
    fs.renameSync(temporary, path.join(directory, name));
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  const entries = fs.readdirSync(directory);
  // What a call has left that was ended while it wrote.
  const isTorn = (entry: string) => entry.startsWith('.') && namePattern.test(entry.slice(1));
  for (const entry of entries.filter(isTorn))
    if (atMs - Number(entry.slice(1, 16)) > 600_000) fs.rmSync(path.join(directory, entry), { force: true });
  const kept = entries.filter(entry => namePattern.test(entry));
  let bytes = 0;
  for (const [place, entry] of kept.sort().reverse().entries()) {
    const file = path.join(directory, entry);
    bytes += fs.lstatSync(file, { throwIfNoEntry: false })?.size ?? 0;
    if (place >= recordingLimits.calls || bytes > recordingLimits.bytesInAll) fs.rmSync(file, { force: true });
  }
}

/** A file as it was found. */
export interface FoundFile {
  /** Below the root. */
  readonly name: string;
  readonly content: Buffer;
  readonly mtimeMs: number;
}

/** Which files are wanted: all below a directory, down to a depth, whose names fit. */
export interface WantedFiles {
  readonly directory: string;
  readonly depth: number;
  readonly fits: (name: string) => boolean;
}

const maxFileBytes = 1024 * 1024;
const maxFiles = 4000;

/**
 * The wanted files, one by one. Links are not followed, and what is no regular file is passed over; `left` is told what
 * could not be read. `goesOn` is asked before each.
 */
export function* findFiles(
  root: string,
  wanted: readonly WantedFiles[],
  { left, goesOn }: { readonly left: (line: string) => void; readonly goesOn: () => boolean },
): Generator<FoundFile> {
  const pending = [...wanted].reverse();
  let count = 0;
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { directory, depth, fits } = next;
    for (const entry of entriesOf(directory)) {
      const file = path.join(directory, entry.name);
      const name = path.relative(root, file);
      if (entry.isDirectory() && depth > 0) pending.push({ directory: file, depth: depth - 1, fits });
      if (!entry.isFile() || !fits(name)) continue;
      if (++count > maxFiles || !goesOn()) return left('files: there are more than are kept of one call');
      try {
        const { mtimeMs, size } = fs.lstatSync(file);
        const content = size > maxFileBytes ? undefined : readListedFile(file);
        if (content === undefined) left(`'${name}' is too large, or has gone`);
        else yield { name, content, mtimeMs };
      } catch (error) {
        left(asActualnetError(error).message);
      }
    }
  }
}

function entriesOf(directory: string): fs.Dirent[] {
  try {
    return fs.readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}

/** Names of the recorded calls in a directory, or of the one file that is given, in the order in which they came. */
export function listRecordings(directory: string): string[] {
  const status = exists(directory) ? fs.lstatSync(directory) : undefined;
  if (status === undefined) throw new ActualnetError('FILE', `there is no directory '${directory}'`);
  if (status.isFile()) return [directory];
  if (!status.isDirectory()) throw new ActualnetError('FILE', `'${directory}' is not a directory`);
  try {
    const names = fs.readdirSync(directory).filter(name => name.endsWith('.json') && !name.startsWith('.'));
    return names.sort().map(name => path.join(directory, name));
  } catch (cause) {
    throw new ActualnetError('FILE', `cannot list '${directory}': ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
}

/** The text of one; nobody waits for a pipe, and no link is followed. Throws `FILE`. */
export function readRecording(file: string, maxBytes: number): string {
  const size = fs.lstatSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > maxBytes) throw new ActualnetError('FILE', `it is larger than ${maxBytes} bytes`);
  const content = readListedFile(file);
  if (content === undefined) throw new ActualnetError('FILE', 'it has gone');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (cause) {
    throw new ActualnetError('FILE', 'it is not UTF-8', { cause });
  }
}

/** Writes files below a private directory that was made for them. */
export function layOut(root: string, files: Iterable<readonly [name: string, text: string, mtimeMs: number]>): void {
  for (const [name, text, mtimeMs] of files) {
    const file = path.join(root, name);
    const seconds = Math.max(0, Math.min(mtimeMs, 8.64e15)) / 1000;
    try {
      fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      fs.writeFileSync(file, text, { flag: 'wx', mode: 0o600 });
      fs.utimesSync(file, seconds, seconds);
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      throw new ActualnetError('FILE', `its file '${name}' cannot be written: ${code ?? message}`, { cause });
    }
  }
}
