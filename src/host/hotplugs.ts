import fs from 'node:fs';
import path from 'node:path';
import { parseUuid, type Uuid } from '../model/values.ts';
import { ActualnetError } from '../report/error.ts';
import { listDirectory, openPrivateFile, removeFile } from './files.ts';
import type { HostPaths } from './paths.ts';

/*
 * While somebody attaches or detaches a device there is a file named after the guest, locked by its process. One that is
 * there and not locked was left by a process that was killed: what it had made ready is still in force.
 */

const fileOf = ({ state }: HostPaths, guest: Uuid) => path.join(state, 'hotplug', guest);

/**
 * Begins; the answer ends, and says whether all is settled: if not, the witness sees to it. Throws `LOCKED` if another process
 * is at the guest's devices.
 */
export async function beginHotplug(paths: HostPaths, guest: Uuid): Promise<(isSettled: boolean) => void> {
  const fd = await lockFile(paths, guest);
  if (fd === undefined) {
    throw new ActualnetError('LOCKED', 'somebody else attaches or detaches a device of this guest right now', {
      hint: 'wait for it to end',
    });
  }
  return isSettled => {
    // While it is locked: whoever finds it unlocked takes it for one left behind.
    if (isSettled) removeFile(fileOf(paths, guest));
    fs.closeSync(fd);
  };
}

/** Whether somebody is at it now. */
export async function isHotplugging(paths: HostPaths, guest: Uuid): Promise<boolean> {
  if (!fs.existsSync(fileOf(paths, guest))) return false;
  const fd = await lockFile(paths, guest);
  if (fd !== undefined) fs.closeSync(fd);
  return fd === undefined;
}

/** The guests whose hotplug was left unfinished. */
export async function listUnfinished(paths: HostPaths): Promise<Uuid[]> {
  const guests = listDirectory(path.join(paths.state, 'hotplug')).flatMap(entry => parseUuid(entry) ?? []);
  const unfinished: Uuid[] = [];
  for (const guest of guests) if (!(await isHotplugging(paths, guest))) unfinished.push(guest);
  return unfinished;
}

/** What an unfinished hotplug had made ready is settled. */
export async function forgetUnfinished(paths: HostPaths, guest: Uuid): Promise<void> {
  if (!fs.existsSync(fileOf(paths, guest))) return;
  const fd = await lockFile(paths, guest);
  if (fd === undefined) return;
  removeFile(fileOf(paths, guest));
  fs.closeSync(fd);
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
