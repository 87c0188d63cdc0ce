import fs from 'node:fs';
import type { HostPaths } from '../paths.ts';

/** Several writes of one change are looked at once. */
const settleMs = 30;
/** Of a guest whose file takes long to look at, the next look waits so many times as long: it must not keep others waiting. */
const restFactor = 20;

/**
 * Calls `onWritten` with the name of a guest shortly after libvirt has written its status file: at every attach, detach and
 * update, also where there is no event for it. Answers what makes sure that the watch goes on, to be called again and
 * again: the directory comes only with libvirt. Nothing is thrown; whoever misses something looks at all files anyway.
 */
export function watchStatusFiles(
  paths: HostPaths,
  { onWritten, signal }: { readonly onWritten: (guest: string) => void; readonly signal: AbortSignal },
): () => void {
  let watcher: fs.FSWatcher | undefined;
  const waiting = new Map<string, NodeJS.Timeout>();
  const restMs = new Map<string, number>();
  const end = () => {
    watcher?.close();
    watcher = undefined;
  };
  signal.addEventListener('abort', () => {
    end();
    for (const timer of waiting.values()) clearTimeout(timer);
  });
  const onChange = (_: string, entry: string | null) => {
    const guest = /^(.+)\.xml$/.exec(entry ?? '')?.[1];
    if (guest === undefined || waiting.has(guest)) return;
    const look = () => {
      waiting.delete(guest);
      const began = performance.now();
      onWritten(guest);
      const rest = restFactor * (performance.now() - began);
      if (rest > settleMs) restMs.set(guest, rest);
      else restMs.delete(guest);
    };
    waiting.set(guest, setTimeout(look, restMs.get(guest) ?? settleMs));
  };
  return () => {
    if (watcher !== undefined || signal.aborted) return;
    try {
      watcher = fs.watch(paths.libvirtGuestStatus, { persistent: false }, onChange);
      watcher.on('error', end);
      watcher.on('close', () => {
        watcher = undefined;
      });
    } catch {}
  };
}
