import { readdirSync, readFileSync } from 'node:fs';

/** The processes, other than this one, that have a word in their environment: what a test has started, and what that has left. */
export function processesOf(word: string): number[] {
  const has = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(word);
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(has)
    .map(Number);
}

/** Ends them, whatever they are waiting for. */
export function endProcessesOf(word: string): void {
  for (const pid of processesOf(word)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {}
  }
}
