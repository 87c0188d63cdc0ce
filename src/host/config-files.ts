import fs from 'node:fs';
import path from 'node:path';
import { type Config, type ConfigFile, defaultConfig, parseConfig, reviveConfig } from '../config/config.ts';
import { ActualnetError } from '../report/error.ts';
import { listDirectory, readFileIfAny, writeFileAtomically } from './files.ts';
import type { HostPaths } from './paths.ts';

/** A cache made by another version of actualnet, whose `Config` has another form, is not used. */
const cacheVersion = JSON.stringify(defaultConfig);

/** More is not read: `parseConfig` refuses such a file. */
const maxBytes = 1024 * 1024 + 1;

/**
 * The configuration of this host; the defaults if there is none.
 *
 * What was parsed is kept as `config.json` in the state directory, together with what the files looked like, so that a
 * hook call need not load the YAML parser. Throws `CONFIG` with the first mistake.
 */
export async function loadConfig(paths: HostPaths): Promise<Config> {
  const names = listConfigFiles(paths);
  if (names.length === 0) return defaultConfig;
  const cacheFile = path.join(paths.state, 'config.json');
  const cached = readCache(cacheFile, names.flatMap(identifyFile));
  if (cached !== undefined) return cached;
  const read = readAll(names);
  const result = await parseConfig(read);
  if ('mistakes' in result) throw configError(result.mistakes);
  writeCache(cacheFile, { identities: read.map(({ identity }) => identity), config: result.config });
  return result.config;
}

/** The files that make up the configuration, in the order in which they are merged. */
export function readConfigFiles(paths: HostPaths): ConfigFile[] {
  return readAll(listConfigFiles(paths)).map(({ file, text }) => ({ file, text }));
}

function configError([first, ...others]: readonly string[]): ActualnetError {
  const more = others.length === 0 ? '' : `, and ${others.length} more mistake${others.length === 1 ? '' : 's'}`;
  return new ActualnetError('CONFIG', `${first}${more}`, { hint: "run 'actualnet check'" });
}

/** `config.yaml`, if it is there, then `conf.d/*.yaml` in byte order, without hidden ones. */
function listConfigFiles(paths: HostPaths): string[] {
  return reading(paths.config, () => {
    const directory = path.join(paths.config, 'conf.d');
    const parts = listDirectory(directory)
      .filter(name => name.endsWith('.yaml') && !name.startsWith('.'))
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const main = path.join(paths.config, 'config.yaml');
    const isThere = fs.lstatSync(main, { throwIfNoEntry: false }) !== undefined;
    return [...(isThere ? [main] : []), ...parts.map(name => path.join(directory, name))];
  });
}

/** What a file looked like: path, mtimeMs, size, ino. */
type Identity = readonly [file: string, mtimeMs: number, size: number, ino: number];
type ReadFile = ConfigFile & { readonly identity: Identity };

function identity(file: string, { mtimeMs, size, ino }: fs.Stats): Identity {
  return [file, mtimeMs, size, ino];
}

/** None for a file that is gone meanwhile, or a link to nothing: reading it will say so. */
function identifyFile(file: string): Identity[] {
  const status = reading(file, () => fs.statSync(file, { throwIfNoEntry: false }));
  return status === undefined ? [] : [identity(file, status)];
}

function readAll(files: readonly string[]): ReadFile[] {
  return files.map(file => reading(file, () => readConfigFile(file)));
}

function reading<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof ActualnetError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new ActualnetError('FILE', `cannot read '${file}': ${code ?? message}`, { cause });
  }
}

/** Links are followed, unlike those of ours and libvirt's: an administrator may keep the configuration elsewhere. */
function readConfigFile(file: string): ReadFile {
  const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    const status = fs.fstatSync(fd);
    if (!status.isFile()) throw new ActualnetError('FILE', `'${file}' is not a regular file`);
    const content = Buffer.alloc(Math.min(status.size, maxBytes));
    let length = 0;
    for (let got = -1; got !== 0 && length < content.length; length += got) {
      got = fs.readSync(fd, content, length, content.length - length, length);
    }
    const text = content.toString('utf8', 0, length);
    return { file, text, identity: identity(file, status) };
  } finally {
    fs.closeSync(fd);
  }
}

interface Cache {
  readonly version: string;
  readonly files: readonly Identity[];
  readonly config: unknown;
}

/** A cache that cannot be read or was made of other files is none. */
function readCache(file: string, identities: readonly Identity[]): Config | undefined {
  try {
    const cache = JSON.parse(readFileIfAny(file)?.toString('utf8') ?? 'null') as Cache | null;
    if (cache?.version !== cacheVersion || JSON.stringify(cache.files) !== JSON.stringify(identities)) return undefined;
    return reviveConfig(cache.config);
  } catch {
    return undefined;
  }
}

/** Without a cache everything works, only slower: whoever may not write it needs none. */
function writeCache(file: string, { identities, config }: { identities: readonly Identity[]; config: Config }): void {
  const cache: Cache = { version: cacheVersion, files: identities, config };
  try {
    writeFileAtomically(file, `${JSON.stringify(cache)}\n`);
  } catch {}
}
