import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ActualnetError } from '../../report/error.ts';
import { openPrivateFile } from '../files.ts';
import { Patience } from './patience.ts';

/*
 * A lock is a queue in a file, kept by the kernel (open file description locks on single bytes, which end with the process
 * that has them). Byte 0 is held for the moment in which somebody takes a ticket, byte N by whoever has ticket N, from then
 * to the end of its turn. The turn comes when nobody has a lower ticket any more: the kernel wakes exactly that one. In the
 * file stand the next ticket and the one whose turn it is; whoever leaves an empty queue removes it.
 */
const nextAt = 0;
const servedAt = 8;

/** How long the queue may stand still: longer than any guest's call takes that is not stuck. */
const standstillMs = 20_000;

/** Waiting in the kernel takes one of the four threads that Node has for whatever blocks; the others are for files. */
const mostInKernel = 2;
let inKernel = 0;

/**
 * Waits for its turn at each of the names, in the order of the names so that two callers never wait for each other. Throws
 * `LOCKED` only when nothing moves in a queue: how long it is does not matter.
 */
export async function takeLocks(
  directory: string,
  names: readonly string[],
  patience = new Patience(Number.POSITIVE_INFINITY),
): Promise<() => void> {
  const held: (() => void)[] = [];
  const release = () => {
    for (const leave of held.splice(0).reverse()) leave();
  };
  try {
    for (const name of [...new Set(names)].sort())
      held.push(await queueFor(path.join(directory, name), name, patience));
    return release;
  } catch (error) {
    release();
    throw error;
  }
}

/** Joins the queue of one name; the answer leaves it. */
async function queueFor(file: string, name: string, patience: Patience): Promise<() => void> {
  // CommonJS: as a whole it is the default export, in whatever way this was bundled.
  const { tryLock, unlock } = (await import('fs-native-extensions')).default;
  for (;;) {
    const fd = openPrivateFile(file);
    const range = new Range(fd, name, patience);
    await range.take(0, 1);
    // The last one to leave may have removed it between opening and locking.
    if (!closingIfFailed(fd, () => isStill(fd, file))) {
      fs.closeSync(fd);
      continue;
    }
    const ticket = closingIfFailed(fd, () => {
      let free = Math.max(1, readNumber(fd, nextAt));
      while (!tryLock(fd, free, 1)) free++;
      writeNumber(fd, nextAt, free + 1);
      unlock(fd, 0, 1);
      return free;
    });
    if (ticket > 1) await range.take(1, ticket - 1, ticket);
    closingIfFailed(fd, () => writeNumber(fd, servedAt, ticket));
    return () => {
      try {
        if (tryLock(fd, 0, 1) && readNumber(fd, nextAt) === ticket + 1 && isStill(fd, file)) fs.unlinkSync(file);
      } catch {
        // What stays is taken up by the next one.
      } finally {
        fs.closeSync(fd);
      }
    };
  }
}

/** A place in a queue ends with its file: one that stayed open behind an error would be held as long as this process lives. */
function closingIfFailed<T>(fd: number, act: () => T): T {
  try {
    return act();
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Bytes of a lock's file that somebody waits for. Closes the file if they are not to be had. */
class Range {
  readonly #fd: number;
  readonly #name: string;
  readonly #patience: Patience;

  constructor(fd: number, name: string, patience: Patience) {
    this.#fd = fd;
    this.#name = name;
    this.#patience = patience;
  }

  async take(offset: number, length: number, ticket?: number): Promise<void> {
    const { tryLock, unlock } = (await import('fs-native-extensions')).default;
    if (tryLock(this.#fd, offset, length)) return;
    const giveUp = new AbortController();
    const taken = this.#waitFor(offset, length, giveUp.signal);
    let served = readNumber(this.#fd, servedAt);
    const hasMoved = () => {
      const before = served;
      served = readNumber(this.#fd, servedAt);
      return served !== before;
    };
    try {
      await this.#patience.wait(taken, { what: `whoever has '${this.#name}'`, limitMs: standstillMs, hasMoved });
    } catch (cause) {
      // Those behind us must not wait for somebody who has left. The kernel may still be waiting, with this file.
      giveUp.abort();
      if (ticket !== undefined) unlock(this.#fd, ticket, 1);
      void taken.catch(() => undefined).finally(() => fs.closeSync(this.#fd));
      const { message } = cause as Error;
      throw new ActualnetError('LOCKED', `${message}, who does not go on`, { cause });
    }
  }

  async #waitFor(offset: number, length: number, signal: AbortSignal): Promise<void> {
    const { tryLock, waitForLock } = (await import('fs-native-extensions')).default;
    if (inKernel < mostInKernel) {
      inKernel++;
      return waitForLock(this.#fd, offset, length).finally(() => {
        inKernel--;
      });
    }
    while (!signal.aborted && !tryLock(this.#fd, offset, length)) await sleep(10);
  }
}

/** Whether an open file still has its name. */
function isStill(fd: number, file: string): boolean {
  const named = fs.lstatSync(file, { throwIfNoEntry: false });
  const open = fs.fstatSync(fd);
  return named?.ino === open.ino && named.dev === open.dev;
}

/** More tickets than are ever taken: what somebody else has written there begins anew. */
const mostTickets = 2 ** 40;

/** A number in a lock's file; 0 where there is none yet, or none of ours. */
function readNumber(fd: number, position: number): number {
  const bytes = Buffer.alloc(6);
  fs.readSync(fd, bytes, 0, 6, position);
  const number = bytes.readUIntLE(0, 6);
  return number < mostTickets ? number : 0;
}

function writeNumber(fd: number, position: number, number: number): void {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntLE(number, 0, 6);
  fs.writeSync(fd, bytes, 0, 6, position);
}
