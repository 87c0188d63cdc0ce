import path from 'node:path';
import type { HookContext, Invocation, Outcome } from '../hook/context.ts';
import { listDirectory } from '../host/files.ts';
import { mayHaveHostDevice } from '../host/libvirt/files.ts';
import { outlineStatus } from '../host/libvirt/status-file.ts';
import type { HostPaths } from '../host/paths.ts';
import {
  checkRecordingDirectory,
  type FoundFile,
  findFiles,
  keepRecording,
  recordingLimits,
  type WantedFiles,
} from '../host/recordings.ts';
import { readConfigFiles } from '../host/state/config-files.ts';
import type { HostView } from '../kernel/host-view.ts';
import { type Answers, documentNotKept, type RecordedCall, type RecordedFile } from '../replay/recorded.ts';
import { type Noted, noting } from '../replay/recording.ts';
import { redactDocument, withoutSecrets } from '../replay/redact.ts';
import { notingView } from '../replay/view.ts';
import { asActualnetError, errorLine } from '../report/error.ts';

declare const builtFrom: { readonly version: string; readonly commit: string | null };

/** So long a call may be kept waiting for what it could read to be copied. */
const collectLimitMs = 250;
const maxFilesBytes = 4 * 1024 * 1024;
const maxLinks = 256;

/** A call that is being recorded. */
export interface Recording {
  readonly invocation: Invocation;
  readonly context: HookContext;
  readonly end: (outcome: Outcome, said: readonly string[]) => void;
}

/** Begins to record a call. Answers undefined, and says why once, where that cannot be done: a call is worth more than its record. */
export async function beginRecording(
  directory: string,
  { paths, invocation, context }: { paths: HostPaths; invocation: Invocation; context: HookContext },
): Promise<Recording | undefined> {
  const warn = (error: unknown) => {
    const line = errorLine(error);
    if (context.memory.isFirst(`record ${line}`)) context.log.warn(line);
  };
  try {
    checkRecordingDirectory(directory);
    const fromMs = performance.now();
    const goesOn = () => performance.now() - fromMs < collectLimitMs;
    const missing: string[] = [];
    const left = (line: string) => {
      if (missing.length < 20) missing.push(line);
    };
    const removed = new Set<string>();
    const before = await lookAround(paths, context, goesOn);
    const files = Object.fromEntries(collect(paths, { goesOn, left, removed }));
    const recording = noting(invocation, context, before);
    const atMs = context.now();
    const calledMs = performance.now();
    return {
      ...recording,
      end(outcome, said) {
        try {
          const { driver, object, operation, subOperation, extra } = invocation;
          const document = documentOf(recording.noted, { left, removed });
          const stdout = outcome.stdout === '' ? '' : redactDocument(outcome.stdout).text;
          const plain = (text: string) => withoutSecrets(withoutRoot(text, paths), [...removed]);
          const { facts, views, runs } = recording.noted;
          const call: RecordedCall = {
            format: 1,
            at: new Date(atMs).toISOString(),
            durationMs: Math.round(performance.now() - calledMs),
            by: { ...builtFrom, node: process.version },
            call: { driver, object, operation, subOperation, extra },
            document,
            facts,
            views,
            files,
            runs,
            answer: { ...outcome, stdout, stderr: plain(outcome.stderr), said: said.map(plain) },
            missing,
          };
          keepRecording(directory, { atMs, words: [driver, object, operation], text: textOf(call) });
        } catch (error) {
          warn(error);
        }
      },
    };
  } catch (error) {
    warn(error);
    return undefined;
  }
}

/** A call too large to be kept goes without the files of others. */
function textOf(call: RecordedCall): string {
  const text = JSON.stringify(call);
  if (Buffer.byteLength(text) <= recordingLimits.bytesOfCall) return text;
  return JSON.stringify({ ...call, files: {}, missing: [...call.missing, 'files: they are too large together'] });
}

/** The links and the devices with VFs, so that the same call can be tried with another configuration. */
async function lookAround(paths: HostPaths, { effects }: HookContext, goesOn: () => boolean): Promise<Answers> {
  const answers: Answers = {};
  const view: HostView = notingView(await effects.view({}), {}, answers);
  for (const dev of listDirectory(path.join(paths.sys, 'class/net')).slice(0, maxLinks)) if (goesOn()) view.link(dev);
  for (const pf of view.pfs())
    for (const address of [pf, ...((goesOn() ? view.pci(pf)?.vfs : undefined) ?? [])]) if (goesOn()) view.pci(address);
  return answers;
}

function documentOf(
  { document }: Noted,
  { left, removed }: { readonly left: (line: string) => void; readonly removed: Set<string> },
): string | null {
  if (document === undefined) return null;
  try {
    const redacted = redactDocument(document);
    for (const secret of redacted.removed) removed.add(secret);
    return redacted.text;
  } catch (error) {
    left(`${documentNotKept}: ${asActualnetError(error).message}`);
    return null;
  }
}

/** Everything in files that a call's answer may come from, the most important first. */
function wantedFiles(paths: HostPaths): WantedFiles[] {
  const isXml = (name: string) => name.endsWith('.xml');
  const isOurs = (name: string) => !/(^|\/)(locks|hotplugs?)\/|witness\.json$|\.tmp$/.test(name);
  return [
    { directory: paths.lasting, depth: 0, fits: name => name.endsWith('good-config.json') },
    { directory: paths.libvirtNetworkStatus, depth: 2, fits: isXml },
    { directory: paths.libvirtNetworkConfig, depth: 0, fits: isXml },
    { directory: paths.state, depth: 2, fits: isOurs },
    { directory: paths.libvirtGuestStatus, depth: 0, fits: isXml },
  ];
}

function* collect(
  paths: HostPaths,
  {
    goesOn,
    left,
    removed,
  }: { readonly goesOn: () => boolean; readonly left: (line: string) => void; readonly removed: Set<string> },
): Generator<[string, RecordedFile]> {
  let bytes = 0;
  // Links are followed here, as they are where it is read.
  try {
    for (const { file, text } of readConfigFiles(paths)) yield [path.relative(paths.root, file), { text, mtimeMs: 0 }];
  } catch (error) {
    left(`the configuration: ${asActualnetError(error).message}`);
  }
  for (const found of findFiles(paths.root, wantedFiles(paths), { left, goesOn })) {
    const redacted = redactFile(paths, found);
    if (redacted === undefined) {
      left(`'${found.name}' cannot be read, and is not kept`);
      continue;
    }
    for (const secret of redacted.removed) removed.add(secret);
    bytes += redacted.text.length;
    if (bytes > maxFilesBytes) return left('files: they are too large together');
    yield [found.name, { text: withoutRoot(redacted.text, paths), mtimeMs: found.mtimeMs }];
  }
}

/** Undefined for a document that is none: then nobody knows what is secret in it. */
function redactFile(paths: HostPaths, { name, content }: FoundFile) {
  const isStatus = path.dirname(path.join(paths.root, name)) === paths.libvirtGuestStatus;
  try {
    if (isStatus) return redactDocument(statusOf(content));
    if (name.endsWith('.xml')) return redactDocument(content);
    if (!name.endsWith('network.json')) return { text: content.toString(), removed: [] };
    const remembered = JSON.parse(content.toString()) as { readonly xml: string };
    const { text, removed } = redactDocument(remembered.xml);
    return { text: JSON.stringify({ ...remembered, xml: text }), removed };
  } catch {
    return undefined;
  }
}

/** Of a running guest only who it is, its state, and the devices that others could want. */
function statusOf(content: Buffer): string {
  const { attribute = () => '', identity, devices } = outlineStatus(content);
  const words = ['state', 'reason', 'pid']
    .map(name => ` ${name}='${attribute(name).replace(/[^\w -]/g, '')}'`)
    .join('');
  const kept = mayHaveHostDevice(content) ? devices : '';
  return `<domstatus${words}><domain id='1'>${identity}<devices>${kept}</devices></domain></domstatus>`;
}

/** Paths are given as on a host whose root is not moved. */
function withoutRoot(text: string, { root }: HostPaths): string {
  return root === '/' ? text : text.replaceAll(root, '');
}
