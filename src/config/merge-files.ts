import { findContradictions } from './contradictions.ts';
import { findUnboundedChoices } from './guest-mistakes.ts';
import {
  childOf,
  type Located,
  linesInOrder,
  locate,
  type Mistake,
  mergeLocated,
  mistakeAt,
  type PlainValue,
  toPlain,
} from './located.ts';
import { findNearest } from './nearest.ts';
import { findProvideMistakes } from './provided.ts';
import { readYaml } from './read-yaml.ts';
import type { ConfigFile } from './types.ts';
import { type SchemaError, validateConfig } from './validator.generated.js';

/**
 * The files as one value that follows the schema, later files over earlier ones, or every mistake in them.
 *
 * Each file is judged by itself, so that what another one overrides is judged as well. Only whether something is missing,
 * or in the way of another part, is asked of the whole: it may be described in several files.
 */
export function mergeFiles(
  files: readonly ConfigFile[],
): { readonly value: PlainValue } | { readonly mistakes: readonly string[] } {
  const read = files.map(readYaml);
  const roots = read.flatMap(({ root }) => root ?? []);
  const mistakes = [
    ...read.flatMap(({ mistakes }) => mistakes),
    ...roots.flatMap(root => findMistakes(root, error => error.keyword !== 'required')),
  ];
  const whole = roots.length === files.length ? roots.reduce(mergeLocated) : undefined;
  if (whole !== undefined) mistakes.push(...findMistakes(whole, error => error.keyword === 'required'));
  // What is no value of its kind is told once.
  const told = new Set(mistakes.map(({ file, path }) => `${file} ${path}`));
  const meant = [...roots.flatMap(findContradictions), ...(whole === undefined ? [] : findConflicts(whole))];
  mistakes.push(...meant.filter(({ file, path }) => !told.has(`${file} ${path}`)));
  if (whole !== undefined && mistakes.length === 0) return { value: toPlain(whole) };
  return { mistakes: linesInOrder(mistakes, files) };
}

/** What is wrong between parts, which may be in several files. */
function findConflicts(whole: Located): Mistake[] {
  return [...findProvideMistakes(whole), ...findUnboundedChoices(whole)];
}

function findMistakes(root: Located, isWanted: (error: SchemaError) => boolean): Mistake[] {
  if (validateConfig(toPlain(root))) return [];
  // A wrong name of a key is told by the rule it breaks, and once more as such.
  const errors = (validateConfig.errors ?? []).filter(error => error.keyword !== 'propertyNames' && isWanted(error));
  return errors.map(error => describeError(locate(root, error.instancePath), error));
}

function describeError(at: Located, error: SchemaError): Mistake {
  const { params, parentSchema, propertyName } = error;
  if (propertyName !== undefined) {
    return mistakeAt(childOf(at, propertyName), `expected ${parentSchema.title} as key, found '${propertyName}'`);
  }
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = params.additionalProperty as string;
      const known = Object.keys(parentSchema.properties ?? {});
      const nearest = findNearest(key, known);
      const hint = nearest === undefined ? `known: ${known.join(', ')}` : `did you mean '${nearest}'?`;
      return mistakeAt(childOf(at, key), `unknown key '${key}' (${hint})`);
    }
    case 'required':
      return mistakeAt(at, `'${params.missingProperty}' is missing`);
    case 'uniqueItems':
      return mistakeAt(childOf(at, String(params.j)), 'is in the list twice');
    default:
      return mistakeAt(at, `expected ${parentSchema.title}, found ${describe(at)}`);
  }
}

function describe({ content }: Located): string {
  if (content === null) return 'nothing';
  if (typeof content === 'string') return `'${content}'`;
  if (Array.isArray(content)) return content.length === 0 ? 'an empty list' : 'a list';
  return typeof content === 'object' ? 'a mapping' : String(content);
}
