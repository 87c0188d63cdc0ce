import { type StdioOptions, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { openPrivateFile } from '../files.ts';
import type { HostPaths } from '../paths.ts';
import { hasAgent } from './one-agent.ts';

/**
 * Leaves an agent behind if there is none: with its own session and streams, so that libvirt waits for nothing. It ends
 * by itself when no guest needs it any more, or when the agent takes over.
 */
export async function leaveAgentBehind(paths: HostPaths, program: string): Promise<void> {
  if (await hasAgent(paths)) return;
  // Of many hooks at once only one starts it. The lock goes with the descriptor, and ends with the last process that has it.
  const { tryLock } = (await import('fs-native-extensions')).default;
  const fd = openPrivateFile(path.join(paths.state, 'locks', '.witness-start'));
  try {
    if (!tryLock(fd)) return;
    const stdio: StdioOptions = ['ignore', 'ignore', 'ignore', fd];
    const child = spawn(process.execPath, [program, 'witness'], { detached: true, stdio, cwd: '/' });
    child.on('error', () => undefined);
    child.unref();
  } finally {
    fs.closeSync(fd);
  }
}
