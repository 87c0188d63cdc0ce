import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseUuid, type Uuid } from '../../model/values.ts';
import { ActualnetError } from '../../report/error.ts';
import { listDirectory, openPrivateFile, removeFile } from '../files.ts';
import type { HostPaths } from '../paths.ts';

/*
 * While somebody attaches or detaches a device there is a file named after the guest, locked by its process. One that is
 * there and not locked was left by a process that was killed: what it had made ready is still applied.
 */

const fileOf = ({ state }: HostPaths, guest: Uuid) => path.join(state, 'hotplug', guest);

/** A guest's devices are one's own. */
export interface Hotplug {
  /** Says whether everything is settled: if not, the agent sees to it. */
  readonly end: (isSettled: boolean) => void;
  /** A process that inherits this keeps others away for as long as it lives, also when we do not. */
  readonly fd: number;
  /** Somebody before has not settled everything. */
  readonly wasUnfinished: boolean;
}

/** The agent needs a moment, somebody else's guest may need longer. */
const waitMs = 10_000;

/** Begins, as soon as nobody else is at the guest's devices. Throws `LOCKED` if that does not come in time. */
export async function beginHotplug(paths: HostPaths, guest: Uuid, limitMs = waitMs): Promise<Hotplug> {
  const untilMs = performance.now() + limitMs;
  for (;;) {
    const hotplug = await tryBeginHotplug(paths, guest);
    if (hotplug !== undefined) return hotplug;
    if (performance.now() > untilMs) {
      throw new ActualnetError('LOCKED', 'somebody else attaches or detaches a device of this guest right now', {
        hint: 'wait for it to end',
      });
    }
    await sleep(50);
  }
}

/** Begins; undefined if somebody else is at it. */
export async function tryBeginHotplug(paths: HostPaths, guest: Uuid): Promise<Hotplug | undefined> {
  const wasUnfinished = fs.existsSync(fileOf(paths, guest));
  const fd = await lockFile(paths, guest);
  if (fd === undefined) return undefined;
  return {
    fd,
    wasUnfinished,
    end(isSettled) {
      // While it is locked: whoever finds it unlocked takes it for one left behind.
      if (isSettled) removeFile(fileOf(paths, guest));
      fs.closeSync(fd);
    },
  };
}

/** The guests whose hotplug was left unfinished. */
export async function listUnfinished(paths: HostPaths): Promise<Uuid[]> {
  const guests = listDirectory(path.join(paths.state, 'hotplug')).flatMap(entry => parseUuid(entry) ?? []);
  const unfinished: Uuid[] = [];
  for (const guest of guests) {
    // What is no file of ours there has nothing to say.
    const hotplug = await tryBeginHotplug(paths, guest).catch(() => undefined);
    if (hotplug !== undefined) unfinished.push(guest);
    hotplug?.end(false);
  }
  return unfinished;
}

/** There is nothing to settle any more: the guest has ended. */
export async function forgetUnfinished(paths: HostPaths, guest: Uuid): Promise<void> {
  (await tryBeginHotplug(paths, guest))?.end(true);
}

/** The locked file; undefined if somebody else has it. */
async function lockFile(paths: HostPaths, guest: Uuid): Promise<number | undefined> {
  const { tryLock } = (await import('fs-native-extensions')).default;
  for (;;) {
    const fd = openPrivateFile(fileOf(paths, guest));
    if (!tryLock(fd)) {
      fs.closeSync(fd);
      return undefined;
    }
    // It may have been removed between opening and locking.
    if (fs.fstatSync(fd).ino === fs.statSync(fileOf(paths, guest), { throwIfNoEntry: false })?.ino) return fd;
    fs.closeSync(fd);
  }
}
