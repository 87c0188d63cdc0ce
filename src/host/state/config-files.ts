import fs from 'node:fs';
import path from 'node:path';
import { defaultConfig, parseConfig, reviveConfig } from '../../config/config.ts';
import type { Config, ConfigFile } from '../../config/types.ts';
import { ActualnetError, errorLine } from '../../report/error.ts';
import { listDirectory, readFileIfAny, writeFileAtomically } from '../files.ts';
import type { HostPaths } from '../paths.ts';
import { keepGoodConfig, readGoodConfig } from './good-config.ts';

/** A cache made by another version of actualnet, whose `Config` has another form, is not used. */
const cacheVersion = JSON.stringify(defaultConfig);

/** More is not read: `parseConfig` refuses such a file. */
const maxBytes = 1024 * 1024 + 1;

/**
 * The configuration of this host; the defaults if there is none. One that has become bad does not count: the last good one
 * goes on, and says so in `outdated`. Throws `CONFIG` with the first mistake, or `FILE`, if no good one is known.
 *
 * What was parsed is kept as `config.json` in the state directory, together with what the files looked like, so that a
 * hook call need not load the YAML parser.
 */
export async function loadConfig(paths: HostPaths): Promise<Config> {
  const cacheFile = path.join(paths.state, 'config.json');
  let cache: Cache | undefined;
  let identities: readonly Identity[] | undefined;
  try {
    const names = listConfigFiles(paths);
    if (names.length === 0) return defaultConfig;
    cache = readCache(cacheFile);
    if (cache !== undefined && JSON.stringify(cache.files) === JSON.stringify(names.flatMap(identifyFile)))
      return cache.config;
    const read = readAll(names);
    identities = read.map(({ identity }) => identity);
    const result = await parseConfig(read);
    if ('mistakes' in result) throw configError(result.mistakes);
    const good = { accepted: new Date().toISOString(), config: result.config };
    writeCache(cacheFile, { ...good, version: cacheVersion, files: identities });
    keepGoodConfig(paths, { accepted: good.accepted, files: read });
    return good.config;
  } catch (error) {
    const last = await lastGood(paths, cache ?? readCache(cacheFile));
    if (last === undefined) throw error;
    const config = outdatedBy(error, last);
    if (identities !== undefined)
      writeCache(cacheFile, { accepted: last.accepted, config, version: cacheVersion, files: identities });
    return config;
  }
}

/** The same by the files alone, for somebody who only looks: nothing is kept. */
export async function readConfig(paths: HostPaths): Promise<Config> {
  const names = listConfigFiles(paths);
  if (names.length === 0) return defaultConfig;
  const result = await parseConfig(readAll(names));
  if ('mistakes' in result) throw configError(result.mistakes);
  return result.config;
}

interface GoodConfig {
  /** When it was first read. */
  readonly accepted: string;
  readonly config: Config;
}

/** What a cache holds is always the last good one; it ends with the next boot, and with another version of actualnet. */
async function lastGood(paths: HostPaths, cache: GoodConfig | undefined): Promise<GoodConfig | undefined> {
  const kept = cache === undefined ? readGoodConfig(paths) : undefined;
  if (kept === undefined) return cache;
  const result = await parseConfig(kept.files);
  return 'config' in result ? { accepted: kept.accepted, config: result.config } : undefined;
}

function outdatedBy(error: unknown, { accepted, config }: GoodConfig): Config {
  return {
    ...config,
    outdated: `the configuration read at ${accepted} goes on counting, as it cannot be used as it is now: ${errorLine(error)}`,
  };
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

/** Files beside them that look like parts of the configuration, and that nobody reads. */
export function listUnreadConfigFiles(paths: HostPaths): string[] {
  const read = new Set(listConfigFiles(paths));
  return reading(paths.config, () =>
    [paths.config, path.join(paths.config, 'conf.d')].flatMap(directory =>
      listDirectory(directory)
        .filter(name => /^[^.].*\.ya?ml$/i.test(name))
        .map(name => path.join(directory, name))
        .filter(file => !read.has(file)),
    ),
  );
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

interface Cache extends GoodConfig {
  readonly version: string;
  /** What is applied while the files look like this. */
  readonly files: readonly Identity[];
}

/** A cache that cannot be read is none. */
function readCache(file: string): Cache | undefined {
  try {
    const cache = JSON.parse(readFileIfAny(file)?.toString('utf8') ?? 'null') as Cache | null;
    if (cache?.version !== cacheVersion) return undefined;
    return { ...cache, config: reviveConfig(cache.config) };
  } catch {
    return undefined;
  }
}

/** Without a cache everything works, only slower: whoever may not write it needs none. */
function writeCache(file: string, cache: Cache): void {
  try {
    writeFileAtomically(file, `${JSON.stringify(cache)}\n`);
  } catch {}
}
