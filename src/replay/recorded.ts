import type { Outcome } from '../hook/context.ts';
import { ActualnetError } from '../report/error.ts';

/** What was asked of the host in a call and what it answered, by question; one without `is` was answered with nothing. */
export type Answers = Record<string, { readonly is?: unknown }>;

/** A file that a call could read, as it was before the call, without secrets. */
export interface RecordedFile {
  readonly text: string;
  readonly mtimeMs: number;
}

/** One run of a tool: its lines, what each was for, and those that failed. */
export interface RecordedRun {
  readonly tool: string;
  readonly lines: readonly string[];
  readonly failures: readonly { readonly place: number; readonly message: string }[];
  /** Nobody could tell which lines were run, and why. */
  readonly threw?: string;
}

/** One hook call as it was, with all that its answer came from. */
export interface RecordedCall {
  readonly format: 1;
  /** When it came, ISO 8601, UTC. */
  readonly at: string;
  readonly durationMs: number;
  readonly by: { readonly version: string; readonly commit: string | null; readonly node: string };
  readonly call: {
    readonly driver: string;
    readonly object: string;
    readonly operation: string;
    readonly subOperation: string;
    readonly extra: string;
  };
  /** Null where it was not read, or where it is not kept. */
  readonly document: string | null;
  readonly facts: Answers;
  /** What was seen of links and devices: before the call, then each time it looked. */
  readonly views: readonly Answers[];
  /** By their path below the root. */
  readonly files: Readonly<Record<string, RecordedFile>>;
  readonly runs: readonly RecordedRun[];
  readonly answer: Outcome & { readonly said: readonly string[] };
  /** What is missing, each in a line. */
  readonly missing: readonly string[];
}

/** Said of a document that is none: what cannot be read cannot be freed of secrets. */
export const documentNotKept = 'the document is not kept';

/** So much is read of what a stranger has sent. */
export const recordedLimits = {
  bytes: 16 * 1024 * 1024,
  bytesInAll: 512 * 1024 * 1024,
  calls: 2000,
  depth: 24,
  files: 5000,
} as const;

/** Places below the root that a recorded file may have; nothing else is written anywhere. */
const places = ['etc/actualnet/', 'etc/libvirt/qemu/networks/', 'run/actualnet/', 'run/libvirt/', 'var/lib/actualnet/'];

/** A recorded call as it was written. Throws `FILE` for anything else; whoever sent it may have written what he liked. */
export function readRecordedCall(text: string): RecordedCall {
  if (depthOf(text) > recordedLimits.depth) wrong('it is nested too deep');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    wrong('it is not JSON');
  }
  if (!isObject(value) || value.format !== 1) wrong('its format is not known to this version');
  const { at, durationMs, by, call, document, facts, views, files, runs, answer, missing } = value;
  const isTexts = (list: unknown): list is string[] => Array.isArray(list) && list.every(isText);
  const isSound =
    isText(at) &&
    !Number.isNaN(Date.parse(at)) &&
    Number.isFinite(durationMs) &&
    isObject(by) &&
    isText(by.version) &&
    isText(by.node) &&
    isObject(call) &&
    ['driver', 'object', 'operation', 'subOperation', 'extra'].every(word => isText(call[word])) &&
    (call.driver === 'qemu' || call.driver === 'network') &&
    (document === null || isText(document)) &&
    isAnswers(facts) &&
    Array.isArray(views) &&
    views.length <= 1000 &&
    views.every(isAnswers) &&
    isObject(files) &&
    Object.keys(files).length <= recordedLimits.files &&
    Object.values(files).every(file => isObject(file) && isText(file.text) && Number.isFinite(file.mtimeMs)) &&
    Array.isArray(runs) &&
    runs.every(isRun) &&
    isObject(answer) &&
    (answer.status === 0 || answer.status === 1) &&
    isText(answer.stdout) &&
    isText(answer.stderr) &&
    isTexts(answer.said) &&
    isTexts(missing);
  if (!isSound) wrong('something in it is missing or of another kind');
  for (const file of Object.keys(files as object))
    if (!isPlace(file)) wrong(`it has a file in a wrong place, '${file}'`);
  return value as unknown as RecordedCall;
}

function isPlace(file: string): boolean {
  const parts = file.split('/');
  const isPlain = parts.every(part => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= 255);
  return isPlain && parts.length <= 10 && !file.includes('\0') && places.some(place => file.startsWith(place));
}

function isRun(run: unknown): boolean {
  return (
    isObject(run) &&
    isText(run.tool) &&
    Array.isArray(run.lines) &&
    run.lines.every(isText) &&
    Array.isArray(run.failures) &&
    run.failures.every(failure => isObject(failure) && Number.isInteger(failure.place) && isText(failure.message)) &&
    (run.threw === undefined || isText(run.threw))
  );
}

/** Links and devices are followed to others: what they are is looked at, too. */
function isAnswers(value: unknown): value is Answers {
  return (
    isObject(value) &&
    Object.entries(value).every(([question, answer]) => {
      if (!isObject(answer)) return false;
      const [kind = ''] = question.split(' ', 1);
      const sample = Object.hasOwn(samples, kind) ? samples[kind] : undefined;
      return answer.is === undefined || sample === undefined || isLike(sample, answer.is);
    })
  );
}

/** A value of each kind of answer that others are found by; of a list, one that may be in it. */
const samples: Readonly<Record<string, unknown>> = {
  link: { dev: '', index: 0, up: true, mtu: 0, mac: '', kind: '', lowers: [''], uppers: [''], vfs: 0 },
  pci: { address: '', netdevs: [''], vfs: [''] },
  pfs: [''],
  fdb: [{ mac: '', dev: '', table: '' }],
  vlans: [{ dev: '', id: 0, how: '' }],
  addresses: [''],
  holders: [''],
  holdersOfMacvtap: [''],
};

function isLike(sample: unknown, value: unknown): boolean {
  if (Array.isArray(sample)) return Array.isArray(value) && value.every(each => isLike(sample[0], each));
  if (!isObject(sample)) return typeof value === typeof sample;
  return isObject(value) && Object.entries(sample).every(([name, part]) => isLike(part, value[name]));
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How deep brackets are nested, without building anything. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (isQuoted && character === '\\') at++;
    else if (character === '"') isQuoted = !isQuoted;
    else if (isQuoted) continue;
    else if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth);
    else if (character === ']' || character === '}') depth--;
  }
  return deepest;
}

function wrong(why: string): never {
  throw new ActualnetError('FILE', `it is not a recorded call: ${why}`);
}
