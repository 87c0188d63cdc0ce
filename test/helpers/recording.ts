import type { Outcome } from '../../src/hook/context.ts';
import { runHook } from '../../src/hook/dispatch.ts';
import { beginRecording } from '../../src/main/recorder.ts';
import { replayCalls } from '../../src/main/replay.ts';
import type { ReplayedCall } from '../../src/replay/played.ts';
import type { World } from './world.ts';

/** Answers a call in a world while it is recorded; each has a moment of its own, by which it is found. */
export async function recordCall(
  world: World,
  directory: string,
  { driver = 'qemu', words, xml }: { driver?: 'qemu' | 'network'; words: readonly string[]; xml: string },
): Promise<Outcome> {
  const [object = '', operation = '', subOperation = 'begin', extra = '-'] = words;
  const readStdin = () => Buffer.from(xml);
  const invocation = { driver, object, operation, subOperation, extra, readStdin };
  const said: string[] = [];
  const log = { info: () => undefined, warn: (line: string) => void said.push(line) };
  world.nowMs += 10;
  const given = { paths: world.paths, invocation, context: { ...world.context(), log } };
  const recording = await beginRecording(directory, given);
  if (recording === undefined) throw new Error(`the call is not recorded: ${said}`);
  const outcome = await runHook(recording.invocation, recording.context);
  recording.end(outcome, said);
  return outcome;
}

/** All calls of a directory, played again. */
export async function replayAll(directory: string, config?: string): Promise<ReplayedCall[]> {
  const calls: ReplayedCall[] = [];
  for await (const call of replayCalls(directory, config)) calls.push(call);
  return calls;
}
