import { type Alias, isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument } from 'yaml';
import { type Located, type Mistake, mergeLocated, mistakeAt, pathOfKey } from './located.ts';
import type { ConfigFile } from './types.ts';

/** Far beyond any real configuration; together they bound the time and memory that a file can take. */
const limits = { bytes: 1024 * 1024, lineLength: 10_000, depth: 16, values: 100_000, maxAliasCount: 100 };

/** A file as located values, null if it is empty. `root` is undefined if the file is not sound and cannot be judged. */
export interface YamlFile {
  readonly root: Located | undefined;
  readonly mistakes: readonly Mistake[];
}

/** Files as one, later ones over earlier ones, without those that are not sound; undefined if none is. */
export function readTogether(files: readonly ConfigFile[]): Located | undefined {
  const [first, ...others] = files.flatMap(file => readYaml(file).root ?? []);
  return first && others.reduce(mergeLocated, first);
}

export function readYaml(configFile: ConfigFile): YamlFile {
  const { file, text } = configFile;
  const refuse = (line: number, what: string) => ({ root: undefined, mistakes: [mistake(file, { line }, what)] });
  if (Buffer.byteLength(text) > limits.bytes) return refuse(1, `the file is larger than ${limits.bytes} bytes`);
  const lines = text.split('\n');
  const broken = lines.findIndex(line => line.includes('\ufffd'));
  if (broken !== -1) return refuse(broken + 1, 'the text is not UTF-8');
  // The parser makes regular expressions as long as an indentation, and V8 gives up the whole process for one too long.
  const long = lines.findIndex(line => line.length > limits.lineLength);
  if (long !== -1) return refuse(long + 1, `the line is longer than ${limits.lineLength} characters`);
  try {
    return new YamlReader(configFile).read();
  } catch (stop) {
    if (stop instanceof LimitExceeded) return { root: undefined, mistakes: [stop.mistake] };
    throw stop;
  }
}

/** Ends the reading of a file. */
class LimitExceeded extends Error {
  readonly mistake: Mistake;

  constructor(mistake: Mistake) {
    super(mistake.text);
    this.mistake = mistake;
  }
}

interface Place {
  readonly line: number;
  readonly path?: string;
}

function mistake(file: string, place: Place, what: string): Mistake {
  return mistakeAt({ file, path: '', ...place }, what);
}

class YamlReader {
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #mistakes: Mistake[] = [];
  readonly #document;
  #values = 0;
  #aliases = 0;

  constructor({ file, text }: ConfigFile) {
    this.#file = file;
    // Keys given twice are looked for here: the parser compares each with each, and cannot tell their path.
    const options = { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false, stringKeys: true } as const;
    this.#document = parseDocument(text, options);
  }

  read(): YamlFile {
    const { errors, warnings, contents } = this.#document;
    for (const { code, message, pos } of [...errors, ...warnings]) {
      const line = this.#lineAt(pos[0]);
      if (/call stack/.test(message)) this.#stop({ line }, 'nested too deeply');
      const what =
        code === 'MULTIPLE_DOCS'
          ? 'a second document begins here'
          : message.startsWith('Alias cannot be an empty')
            ? "a pattern that begins with '*' needs quotes: '*'"
            : message.split('\n')[0]!;
      this.#mistakes.push(mistake(this.#file, { line }, what));
    }
    if (this.#mistakes.length > 0) return { root: undefined, mistakes: this.#mistakes };
    const line = contents === null ? 1 : this.#lineAt(contents.range[0]);
    return { root: this.#value(contents, { line, path: '', depth: 0 }), mistakes: this.#mistakes };
  }

  #value(node: ParsedNode | null, at: { line: number; path: string; depth: number }): Located {
    this.#values += 1;
    if (this.#values > limits.values) this.#stop(at, `more than ${limits.values} values`);
    if (at.depth > limits.depth) this.#stop(at, `nested more than ${limits.depth} levels deep`);
    if (isAlias(node)) return this.#value(this.#resolve(node, at), { ...at, depth: at.depth + 1 });
    return { file: this.#file, line: at.line, path: at.path, content: this.#content(node, at) };
  }

  #content(node: ParsedNode | null, at: { line: number; path: string; depth: number }): Located['content'] {
    const depth = at.depth + 1;
    if (isMap(node)) {
      const entries = new Map<string, Located>();
      for (const { key, value } of node.items) {
        const name = isScalar(key) ? String(key.value) : '';
        const place = { line: this.#lineOf(key) ?? at.line, path: pathOfKey(at.path, name), depth };
        const first = entries.get(name);
        if (first === undefined) entries.set(name, this.#value(value, place));
        else this.#mistakes.push(mistake(this.#file, place, `given twice, first in line ${first.line}`));
      }
      return entries;
    }
    if (isSeq(node)) {
      return (node.items as ParsedNode[]).map((item, index) =>
        this.#value(item, { line: this.#lineOf(item) ?? at.line, path: `${at.path}[${index}]`, depth }),
      );
    }
    return (isScalar(node) ? node.value : null) as Located['content'];
  }

  #resolve(alias: Alias, at: Place): ParsedNode {
    this.#aliases += 1;
    if (this.#aliases > limits.maxAliasCount) this.#stop(at, `more than ${limits.maxAliasCount} aliases`);
    const target = alias.resolve(this.#document);
    // A section is no pattern.
    const hint = /[.[]/.test(at.path ?? '') ? `; a pattern that begins with '*' needs quotes: '*${alias.source}'` : '';
    if (target === undefined) this.#stop(at, `there is no anchor '&${alias.source}' before this alias${hint}`);
    return target as ParsedNode;
  }

  #stop(at: Place, what: string): never {
    throw new LimitExceeded(mistake(this.#file, { line: at.line, path: at.path ?? '' }, what));
  }

  #lineOf(node: ParsedNode | null): number | undefined {
    return node?.range ? this.#lineAt(node.range[0]) : undefined;
  }

  #lineAt(offset: number): number {
    return this.#lines.linePos(offset).line;
  }
}
