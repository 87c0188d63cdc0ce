import fs from 'node:fs';
import path from 'node:path';
import { type Counts, countEntries } from '../../report/counts.ts';
import type { HistoryEntry } from '../../report/history.ts';
import { listDirectory, writeFileAtomically } from '../files.ts';
import type { HostPaths } from '../paths.ts';
import { parseJsonLines } from './memory.ts';

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;
/** A piece that has grown to this is put aside; so many are kept. */
const maxPieceBytes = 4 * 1024 * 1024;
const maxPieces = 8;
/** A line is written in one piece, so that those of two processes do not mix. */
const maxLineBytes = 16 * 1024;

/** What has happened on this host, in files of JSON lines. */
export interface History {
  /** Adds entries at once. Never throws: a history that cannot be written costs no guest its start. */
  readonly append: (entries: readonly HistoryEntry[]) => void;
  /** All that is kept, oldest first; lines that are torn are passed over. */
  readonly read: () => HistoryEntry[];
  /** Sums over what is not kept any more: counters go on from there. */
  readonly dropped: () => Counts;
  /** Calls back with what others append from now on, until `signal`; nothing is polled. */
  readonly follow: (onEntries: (entries: HistoryEntry[]) => void, signal: AbortSignal) => Promise<void>;
}

/** The history in the directory of the log; older pieces are named after the moment when they were put aside. */
export function fileHistory({ history }: Pick<HostPaths, 'history'>, clock: () => number): History {
  const directory = path.dirname(history);
  const stem = path.basename(history, '.jsonl');
  const isPiece = (name: string) => name.startsWith(`${stem}-`) && name.endsWith('.jsonl');
  const pieces = () =>
    listIfAny(directory)
      .filter(isPiece)
      .map(name => path.join(directory, name));

  const sums = path.join(directory, `${stem}-dropped.json`);
  const dropped = (): Counts => {
    try {
      const counts = JSON.parse(readPiece(sums) ?? '{}') as Counts;
      return Object.fromEntries(Object.entries(counts).filter(([, value]) => Number.isFinite(value)));
    } catch {
      return {};
    }
  };

  /** Whoever can rename it counts it, so that no piece counts twice. */
  const drop = (file: string) => {
    const counting = `${file}.counting`;
    fs.renameSync(file, counting);
    writeFileAtomically(
      sums,
      JSON.stringify(countEntries(parseJsonLines(readPiece(counting) ?? '') as HistoryEntry[], dropped())),
    );
    fs.rmSync(counting, { force: true });
  };

  const putAside = () => {
    // Two processes at once give two names, and neither takes the other's place.
    fs.renameSync(history, path.join(directory, `${stem}-${String(clock()).padStart(15, '0')}-${process.pid}.jsonl`));
    for (const file of pieces().slice(0, -maxPieces)) drop(file);
  };

  const read = () => [...pieces(), history].flatMap(file => parseJsonLines(readPiece(file) ?? '') as HistoryEntry[]);

  return {
    append(entries) {
      try {
        const lines = entries.map(entry => `${JSON.stringify(entry)}\n`).filter(line => line.length <= maxLineBytes);
        const fd = fs.openSync(history, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
        try {
          const status = fs.fstatSync(fd);
          if (!status.isFile()) return;
          // What a full file system cut off is ended, so that it cannot swallow what follows.
          const bytes = Buffer.from(lines.join(''));
          if (fs.writeSync(fd, bytes) !== bytes.length) fs.ftruncateSync(fd, status.size);
          else if (status.size + bytes.length > maxPieceBytes) putAside();
        } finally {
          fs.closeSync(fd);
        }
      } catch {
        // There is nobody to tell: libvirt waits for an answer, and has it.
      }
    },
    read,
    dropped,
    async follow(onEntries, signal) {
      let { ino, size } = tryStat(history) ?? { ino: 0, size: 0 };
      const look = () => {
        const now = tryStat(history);
        const isNew = now !== undefined && now.ino !== ino;
        // What was put aside is read to its end first.
        const before = isNew ? pieces().find(file => tryStat(file)?.ino === ino) : undefined;
        const texts = before === undefined ? [] : [readPiece(before, size)];
        if (isNew) size = 0;
        const fresh = readPiece(history, size) ?? '';
        // A line that is not whole yet is read with the next look.
        const whole = fresh.slice(0, fresh.lastIndexOf('\n') + 1);
        size += Buffer.byteLength(whole);
        ino = now?.ino ?? ino;
        const entries = parseJsonLines([...texts, whole].join('')) as HistoryEntry[];
        if (entries.length > 0) onEntries(entries);
      };
      const watcher = fs.watch(directory, { signal }, (_, name) => {
        if (name?.startsWith(stem)) look();
      });
      await new Promise<void>((resolve, reject) => {
        watcher.on('error', reject);
        watcher.on('close', resolve);
        signal.addEventListener('abort', () => resolve());
      });
    },
  };
}

function listIfAny(directory: string): string[] {
  try {
    return listDirectory(directory);
  } catch {
    return [];
  }
}

function tryStat(file: string): { readonly ino: number; readonly size: number } | undefined {
  return fs.lstatSync(file, { throwIfNoEntry: false });
}

/** From a place on; nobody waits for a pipe, and no link is followed. */
function readPiece(file: string, from = 0): string | undefined {
  try {
    const fd = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const status = fs.fstatSync(fd);
      if (!status.isFile() || status.size > 2 * maxPieceBytes) return undefined;
      const bytes = Buffer.alloc(Math.max(0, status.size - from));
      return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, from)).toString();
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    return undefined;
  }
}
