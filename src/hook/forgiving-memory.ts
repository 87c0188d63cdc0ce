import type { Memory } from '../host/state/memory.ts';
import { errorLine } from '../report/error.ts';
import type { Log } from '../report/log.ts';

/**
 * A memory whose failing writes are logged and nothing more: a record only tells, so a full or damaged state directory must
 * not keep a guest from starting. Ledgers are not forgiving.
 */
export function forgivingMemory(memory: Memory, log: Log): Memory {
  const forgiving =
    <A extends unknown[]>(write: (...words: A) => void) =>
    (...words: A): void => {
      try {
        write(...words);
      } catch (error) {
        log.warn(errorLine(error));
      }
    };
  return {
    ...memory,
    rememberNetwork: forgiving(memory.rememberNetwork),
    forgetNetwork: forgiving(memory.forgetNetwork),
    rememberPort: forgiving(memory.rememberPort),
    forgetPort: forgiving(memory.forgetPort),
    appendRecord: forgiving(memory.appendRecord),
    removeRecord: forgiving(memory.removeRecord),
    announce: forgiving(memory.announce),
  };
}
