import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runHook } from '../hook/dispatch.ts';
import { hostPaths } from '../host/paths.ts';
import { layOut, listRecordings, readRecording } from '../host/recordings.ts';
import { loadConfig } from '../host/state/config-files.ts';
import { fileMemory } from '../host/state/memory.ts';
import { type ReplayedCall, recordedCallOf } from '../replay/played.ts';
import { type RecordedCall, readRecordedCall, recordedLimits } from '../replay/recorded.ts';
import { redactDocument } from '../replay/redact.ts';
import { compareReplay, isReplayable, RecordedHost } from '../replay/replaying.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import { ownEffects } from './effects.ts';
import { deviceUsers } from './hook.ts';

/** Plays the recorded calls of a directory again, one by one, each with what it met then; `config` counts in place of theirs. */
export async function* replayCalls(directory: string, config: string | undefined): AsyncGenerator<ReplayedCall> {
  const files = listRecordings(directory);
  if (files.length === 0) throw new ActualnetError('FILE', `there is no recorded call in '${directory}'`);
  let bytesLeft: number = recordedLimits.bytesInAll;
  for (const file of files.slice(0, recordedLimits.calls)) {
    const name = path.basename(file);
    let call: RecordedCall;
    try {
      const text = readRecording(file, Math.min(bytesLeft, recordedLimits.bytes));
      bytesLeft -= text.length;
      call = readRecordedCall(text);
    } catch (error) {
      yield { file: name, result: 'unreadable', why: asActualnetError(error).message };
      continue;
    }
    const recorded = recordedCallOf(name, call);
    if (isReplayable(call)) yield { ...recorded, ...(await replay(call, config)) };
    else yield { ...recorded, result: 'not played', why: call.missing.join('; ') };
  }
  if (files.length > recordedLimits.calls)
    yield { file: directory, result: 'unreadable', why: `there are more than ${recordedLimits.calls} files` };
}

/** Answers the call in a private root that is gone afterwards. */
async function replay(call: RecordedCall, config: string | undefined) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'actualnet-replay-'));
  try {
    const paths = hostPaths(root);
    const isKept = (name: string) => config === undefined || !isOfConfig(name);
    const kept = Object.entries(call.files).filter(([name]) => isKept(name));
    layOut(
      root,
      kept.map(([name, { text, mtimeMs }]) => [name, text, mtimeMs] as const),
    );
    if (config !== undefined) layOut(root, [['etc/actualnet/config.yaml', config, Date.parse(call.at)]]);
    const fake = new RecordedHost(call);
    const clock = () => fake.nowMs;
    const memory = fileMemory(paths, clock);
    const context = fake.context({
      memory,
      config: () => loadConfig(paths),
      deviceUsers: except => deviceUsers(paths, memory, except),
      effects: ownEffects(paths, clock),
    });
    const { driver, ...words } = call.call;
    const readStdin = () => Buffer.from(call.document ?? '');
    const answered = await runHook({ ...words, driver: driver as 'qemu', readStdin }, context);
    const plain = (text: string) => text.replaceAll(root, '');
    const stdout = answered.stdout === '' ? '' : redactDocument(answered.stdout).text;
    const outcome = { ...answered, stdout, stderr: plain(answered.stderr) };
    const { changes, said, recollection } = fake;
    const unasked = [...recollection.unasked];
    const differences = compareReplay(call, { outcome, said: said.map(plain), changes, unasked });
    const result: 'same' | 'differs' = differences.length === 0 ? 'same' : 'differs';
    return { result, plan: changes, answer: outcome, said: said.map(plain), differences };
  } catch (error) {
    return { result: 'unreadable' as const, why: asActualnetError(error).message };
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

/** The files of the configuration, and what was made of them. */
function isOfConfig(name: string): boolean {
  return name.startsWith('etc/actualnet/') || name === 'run/actualnet/config.json' || name.endsWith('good-config.json');
}
