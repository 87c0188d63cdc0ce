import { printable } from '../report/error.ts';

/** A value of a configuration file together with where it was written. */
export interface Located {
  readonly file: string;
  /** Of the key, for a value that has one. */
  readonly line: number;
  /** From the top of its file, `interfaces[0].match.guest`; empty for the whole file. */
  readonly path: string;
  readonly content: Content;
}

type Scalar = string | number | boolean | null;
type Content = Scalar | readonly Located[] | ReadonlyMap<string, Located>;

export type PlainValue = Scalar | readonly PlainValue[] | { readonly [key: string]: PlainValue };

/** `later` over `earlier`: mappings key by key, lists one after the other. An empty value takes nothing away. */
export function mergeLocated(earlier: Located, later: Located): Located {
  const [a, b] = [earlier.content, later.content];
  if (b === null) return earlier;
  if (isList(a) && isList(b)) return { ...earlier, content: [...a, ...b] };
  if (!(a instanceof Map) || !(b instanceof Map)) return later;
  const merged = new Map<string, Located>(a);
  for (const [key, value] of b) {
    const before = merged.get(key);
    merged.set(key, before === undefined ? value : mergeLocated(before, value));
  }
  return { ...earlier, content: merged };
}

export function toPlain({ content }: Located): PlainValue {
  if (isList(content)) return content.map(toPlain);
  if (!(content instanceof Map)) return content as Scalar;
  return Object.fromEntries([...content].map(([key, value]) => [key, toPlain(value)]));
}

/** The value at a JSON pointer that leads somewhere. */
export function locate(root: Located, pointer: string): Located {
  const keys = pointer.split('/').slice(1);
  return keys.reduce((at, key) => childOf(at, key.replaceAll('~1', '/').replaceAll('~0', '~')), root);
}

/** The entry of a mapping or list; the mapping or list itself if it has none of that key. */
export function childOf(parent: Located, key: string): Located {
  const { content } = parent;
  const child = isList(content) ? content[Number(key)] : content instanceof Map ? content.get(key) : undefined;
  return child ?? parent;
}

/** What a mapping has under a key; undefined if it is no mapping, or has none. */
export function entryOf(at: Located | undefined, key: string): Located | undefined {
  return at?.content instanceof Map ? at.content.get(key) : undefined;
}

/** What a mapping has, key by key; nothing if it is no mapping. */
export function entriesOf(at: Located | undefined): readonly [string, Located][] {
  return at?.content instanceof Map ? [...at.content] : [];
}

/** What a list has; nothing if it is no list. */
export function itemsOf(at: Located | undefined): readonly Located[] {
  return at !== undefined && isList(at.content) ? at.content : [];
}

/** A text; undefined if it is none. */
export function textOf(at: Located | undefined): string | undefined {
  return typeof at?.content === 'string' ? at.content : undefined;
}

/** A number; undefined if it is none. */
export function numberOf(at: Located | undefined): number | undefined {
  return typeof at?.content === 'number' ? at.content : undefined;
}

export function pathOfKey(parent: string, key: string): string {
  if (!/^[A-Za-z0-9_-]+$/.test(key)) return `${parent}[${JSON.stringify(key)}]`;
  return parent === '' ? key : `${parent}.${key}`;
}

export interface Mistake {
  readonly line: number;
  readonly file: string;
  readonly path: string;
  /** `FILE:LINE: PATH: what is wrong`, without the path where it is the whole file. */
  readonly text: string;
}

export function mistakeAt({ file, line, path }: Omit<Located, 'content'>, what: string): Mistake {
  return { file, line, path, text: printable(`${file}:${line}: ${path === '' ? '' : `${path}: `}${what}`) };
}

/** A line for each mistake, as they stand in the files, each once. */
export function linesInOrder(mistakes: readonly Mistake[], files: readonly { readonly file: string }[]): string[] {
  const place = new Map(files.map(({ file }, index) => [file, index]));
  const inOrder = [...mistakes].sort((a, b) => place.get(a.file)! - place.get(b.file)! || a.line - b.line);
  return [...new Set(inOrder.map(({ text }) => text))];
}

function isList(content: Content): content is readonly Located[] {
  return Array.isArray(content);
}
