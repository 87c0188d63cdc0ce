import { spawn } from 'node:child_process';
import { hasWitness } from './one-witness.ts';
import type { HostPaths } from './paths.ts';

/**
 * Leaves a witness behind if there is none: with its own session and streams, so that libvirt waits for nothing. It ends
 * by itself when no guest needs it any more, or when the agent takes over.
 */
export async function leaveWitnessBehind(paths: HostPaths, program: string): Promise<void> {
  if (await hasWitness(paths)) return;
  const child = spawn(process.execPath, [program, 'witness'], { detached: true, stdio: 'ignore', cwd: '/' });
  child.on('error', () => undefined);
  child.unref();
}
