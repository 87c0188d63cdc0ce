import fs from 'node:fs';
import path from 'node:path';
import type { CommandIo } from '../cli/io.ts';
import { listDirectory } from '../host/files.ts';
import { readStdin, writeAll } from '../host/process/streams.ts';
import { ActualnetError } from '../report/error.ts';
import { parseXml } from '../xml/document.ts';

/** The files, stdin and stdout that this process was given; `dash` is the word for stdin. */
export function commandIo(dash: string): CommandIo {
  const readInput = (file: string) => (file === dash ? readStdin() : fs.readFileSync(file));
  return {
    readText: file => reading(`'${file}'`, () => Buffer.from(readInput(file)).toString()),
    readDocument(file) {
      const name = file === dash ? 'stdin' : `'${file}'`;
      return naming(name, () => parseXml(reading(name, () => readInput(file))));
    },
    readListed: file => naming(`'${file}'`, () => parseXml(reading(`'${file}'`, () => readRegular(file)))),
    listFiles(directory) {
      if (!fs.existsSync(directory)) throw new ActualnetError('FILE', `there is no directory '${directory}'`);
      return listDirectory(directory)
        .filter(name => name.endsWith('.xml'))
        .map(name => path.join(directory, name));
    },
    write: text => writeAll(1, text),
  };
}

function reading<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof ActualnetError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new ActualnetError('FILE', `cannot read ${name}: ${code ?? cause}`, { cause });
  }
}

function naming<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    // An error of the file itself names it.
    if (!(cause instanceof ActualnetError) || cause.code === 'FILE') throw cause;
    throw new ActualnetError(cause.code, `${name}: ${cause.message}`, { hint: cause.hint, cause });
  }
}

/** Nobody waits for a pipe that lies in a directory. */
function readRegular(file: string): Buffer {
  const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    if (!fs.fstatSync(fd).isFile()) throw new ActualnetError('FILE', `'${file}' is not a regular file`);
    return fs.readFileSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
