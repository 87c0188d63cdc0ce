import path from 'node:path';
import type { SharedIndex } from '../../journal/effects.ts';
import { createMarker, exists, listDirectory, removeEmptyDirectory, removeFile } from '../files.ts';
import { fileNameOf, nameOfFile } from './file-names.ts';

/**
 * Whose entries are in which shared ledger, as empty files `shared-by/USER/NAME` (`shared-by/-/NAME` for entries without a user):
 * there may be a thousand ledgers, and a guest that ends has its part in a few. Written before the ledger is, and taken away
 * after: a file too many costs a look. What was written before there was an index is put into it when it is first asked.
 */
export function sharedIndex(
  directory: string,
  readAll: () => readonly { readonly name: string; readonly users: readonly string[] }[],
): SharedIndex {
  const fileOf = (user: string, name: string) => path.join(directory, directoryOf(user), fileNameOf(name));
  const note = (user: string, name: string) => void createMarker(fileOf(user, name));
  const complete = path.join(directory, '~complete');
  const ensure = () => {
    if (exists(complete)) return;
    for (const { name, users } of readAll()) for (const user of users) note(user, name);
    createMarker(complete);
  };
  return {
    namesOf(user) {
      ensure();
      return listDirectory(path.join(directory, directoryOf(user))).map(nameOfFile);
    },
    note(user, name) {
      ensure();
      note(user, name);
    },
    forget(user, name) {
      removeFile(fileOf(user, name));
      removeEmptyDirectory(path.join(directory, directoryOf(user)));
    },
  };
}

/** No name of a user can be mistaken for another's, or for ours. */
function directoryOf(user: string): string {
  return user === '' ? '-' : `u${fileNameOf(user)}`;
}
