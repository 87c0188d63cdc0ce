import fs from 'node:fs';
import path from 'node:path';
import { ActualnetError } from '../report/error.ts';
import { xmlLimits } from '../xml/well-formed.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = fs.constants;

/** The largest file of ours or of libvirt's that is read: as large as a document may be. */
const maxFileBytes = xmlLimits.whole;

/** The content of a regular file, or undefined if there is none. Links are not followed. */
export function readFileIfAny(file: string): Buffer | undefined {
  return exists(file) ? readListedFile(file) : undefined;
}

/** The same for a file that was there a moment ago: there may be a thousand, and each look at one counts. */
export function readListedFile(file: string): Buffer | undefined {
  let fd: number;
  try {
    fd = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw fileError('read', file, cause);
  }
  try {
    const { size } = regularFile(fd, file);
    if (size > maxFileBytes) throw new ActualnetError('FILE', `'${file}' is larger than ${maxFileBytes} bytes`);
    return readToEnd(fd, size);
  } catch (cause) {
    throw fileError('read', file, cause);
  } finally {
    fs.closeSync(fd);
  }
}

/** In one read, unless the file has grown meanwhile. */
function readToEnd(fd: number, size: number): Buffer {
  const content = Buffer.allocUnsafe(size + 1);
  const length = fs.readSync(fd, content, 0, size + 1, null);
  return length <= size ? content.subarray(0, length) : Buffer.concat([content, fs.readFileSync(fd)]);
}

/**
 * Whether any of `texts` is in a file that was there a moment ago, as it is written; true for one that cannot be read: whoever
 * asks then reads it and learns why.
 */
export function fileMentions(file: string, texts: readonly string[]): boolean {
  try {
    const content = readListedFile(file);
    return content !== undefined && texts.some(text => content.includes(text));
  } catch {
    return true;
  }
}

/** Replaces a file in one step: a reader sees the old content or the new, and a kill leaves one of the two. */
export function writeFileAtomically(file: string, content: string): void {
  makePrivateDirectory(path.dirname(file));
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    fs.rmSync(temporary, { force: true });
    const fd = fs.openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      fs.writeFileSync(fd, content);
      fs.fdatasyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, file);
  } catch (cause) {
    fs.rmSync(temporary, { force: true });
    throw fileError('write', file, cause);
  }
}

/** A file of ours in a directory of others, for everybody to read; replaced in one step. */
export function writeFileForAll(file: string, content: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    makeDirectories(path.dirname(file), 0o755);
    fs.rmSync(temporary, { force: true });
    fs.writeFileSync(temporary, content, { mode: 0o644, flag: 'wx' });
    fs.renameSync(temporary, file);
  } catch (cause) {
    fs.rmSync(temporary, { force: true });
    throw fileError('write', file, cause);
  }
}

/** Appends one line in one write and flushes it. A torn line left by a kill is closed first, so it cannot swallow ours. */
export function appendLine(file: string, line: string): void {
  makePrivateDirectory(path.dirname(file));
  try {
    const fd = fs.openSync(file, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
    try {
      const { size } = regularFile(fd, file);
      const last = Buffer.alloc(1);
      const torn = size > 0 && fs.readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a;
      const bytes = Buffer.from(`${torn ? '\n' : ''}${line}\n`);
      // On a full file system a part is written without an error.
      if (fs.writeSync(fd, bytes) !== bytes.length) {
        fs.ftruncateSync(fd, size);
        throw new ActualnetError('FILE', `cannot write '${file}': the file system is full`);
      }
      fs.fdatasyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch (cause) {
    throw fileError('write', file, cause);
  }
}

/** Opens a file of ours for locking, making it if needed. */
export function openPrivateFile(file: string): number {
  makePrivateDirectory(path.dirname(file));
  let fd: number | undefined;
  try {
    fd = fs.openSync(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    regularFile(fd, file);
    return fd;
  } catch (cause) {
    if (fd !== undefined) fs.closeSync(fd);
    throw fileError('open', file, cause);
  }
}

/** Creates the file and says true, or says false if it is there already. */
export function createMarker(file: string): boolean {
  makePrivateDirectory(path.dirname(file));
  try {
    fs.closeSync(fs.openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw fileError('create', file, cause);
  }
}

/** A file of /proc or /sys; empty once what it is about is gone. */
export function readKernelFile(...parts: readonly string[]): string {
  try {
    return fs.readFileSync(path.join(...parts), 'utf8');
  } catch {
    return '';
  }
}

/** Where a symbolic link points, or undefined if there is no such link. */
export function readLinkIfAny(file: string): string | undefined {
  try {
    return fs.readlinkSync(file);
  } catch {
    return undefined;
  }
}

/** Names in a directory, sorted; none if it does not exist. */
export function listDirectory(directory: string): string[] {
  if (!exists(directory)) return [];
  try {
    return fs.readdirSync(directory).sort();
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw fileError('list', directory, cause);
  }
}

/** Removes a file of ours. What is no regular file was put there by somebody else, and is left. */
export function removeFile(file: string): void {
  if (!exists(file)) return;
  try {
    if (!fs.lstatSync(file).isFile()) throw new ActualnetError('FILE', `'${file}' is not a regular file`);
    fs.unlinkSync(file);
  } catch (cause) {
    if (!isMissing(cause)) throw fileError('remove', file, cause);
  }
}

export function removeDirectory(directory: string): void {
  try {
    fs.rmSync(directory, { recursive: true, force: true });
  } catch (cause) {
    if (!isMissing(cause)) throw fileError('remove', directory, cause);
  }
}

/** One in which there is something stays. */
export function removeEmptyDirectory(directory: string): void {
  try {
    fs.rmdirSync(directory);
  } catch {}
}

/** Age of a file in milliseconds; undefined if it is gone. */
export function fileAgeMs(file: string, nowMs: number): number | undefined {
  const status = fs.lstatSync(file, { throwIfNoEntry: false });
  return status && nowMs - status.mtimeMs;
}

/** Makes `directory` (mode 0700) and refuses one that `requirePrivate` refuses. */
function makePrivateDirectory(directory: string): void {
  try {
    makeDirectories(directory, 0o700);
  } catch (cause) {
    requirePrivate(directory);
    throw fileError('use the directory', directory, cause);
  }
  requirePrivate(directory);
}

/**
 * Refuses a directory of ours that is a link, belongs to somebody else or lets others write: what is in it may be theirs, and we
 * would do it as root. One that is not there is fine.
 */
export function requirePrivate(directory: string): void {
  let status: fs.Stats | undefined;
  try {
    status = fs.lstatSync(directory, { throwIfNoEntry: false });
  } catch (cause) {
    throw fileError('use the directory', directory, cause);
  }
  if (status === undefined) return;
  const why = !status.isDirectory()
    ? 'it is not a directory'
    : status.uid !== process.getuid?.()
      ? 'it belongs to another user'
      : (status.mode & 0o022) !== 0
        ? 'others may write in it'
        : undefined;
  if (why === undefined) return;
  throw new ActualnetError('FILE', `cannot use the directory '${directory}': ${why}`, {
    hint: 'see who made it so, then give it to root with mode 0700 or remove it',
  });
}

/** With those above it. Node answers ENOENT, whatever kept it from that: the first that is missing is tried again by itself. */
function makeDirectories(directory: string, mode: number): void {
  try {
    fs.mkdirSync(directory, { recursive: true, mode });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    let missing = directory;
    while (!exists(path.dirname(missing)) && path.dirname(missing) !== missing) missing = path.dirname(missing);
    fs.mkdirSync(missing, { mode });
    fs.mkdirSync(directory, { recursive: true, mode });
  }
}

function regularFile(fd: number, file: string): fs.Stats {
  const status = fs.fstatSync(fd);
  if (!status.isFile()) throw new ActualnetError('FILE', `'${file}' is not a regular file`);
  return status;
}

/** Saves the common case the price of an exception, half a millisecond in a fresh process. */
export function exists(file: string): boolean {
  try {
    return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function fileError(verb: string, file: string, cause: unknown): ActualnetError {
  if (cause instanceof ActualnetError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  const why = code === 'EROFS' ? 'the file system is read-only' : code === 'ENOSPC' ? 'the file system is full' : code;
  return new ActualnetError('FILE', `cannot ${verb} '${file}': ${why ?? message}`, { cause });
}
