import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { execaSync } from 'execa';
import type { GuestRecord } from '../../src/guest/record.ts';

export const projectDirectory = fileURLToPath(new URL('../..', import.meta.url));

export interface HookAnswer {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A private host: the built hooks and command line with everything of theirs below one directory. */
export class TestHost {
  readonly root = mkdtempSync(path.join(tmpdir(), 'actualnet-test-'));
  /** As libvirt gives it to a hook, apart from the private root. */
  readonly env: Record<string, string> = { LC_ALL: 'C', PATH: process.env.PATH ?? '', ACTUALNET_ROOT: this.root };

  constructor() {
    mkdirSync(path.join(this.root, 'var/log'), { recursive: true });
  }

  /** Calls a launcher as libvirt does: GUEST OPERATION SUB-OPERATION EXTRA, cwd `/`, a bare environment. */
  hook(
    driver: 'qemu' | 'network',
    words: readonly string[],
    input: string | Uint8Array,
    launcher?: string,
  ): HookAnswer {
    return this.run(launcher ?? path.join(projectDirectory, 'hooks', driver), words, input);
  }

  cli(words: readonly string[], input: string | Uint8Array = ''): HookAnswer {
    return this.run(process.execPath, [path.join(projectDirectory, 'dist/actualnet.cjs'), ...words], input);
  }

  status(): GuestRecord[] {
    return JSON.parse(this.cli(['status', '--format', 'json']).stdout).guests;
  }

  remove(): void {
    // What a hook has left behind may be writing its last line.
    rmSync(this.root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  private run(file: string, words: readonly string[], input: string | Uint8Array): HookAnswer {
    const { exitCode, stdout, stderr } = execaSync(file, words, {
      input,
      env: this.env,
      extendEnv: false,
      cwd: '/',
      reject: false,
      stripFinalNewline: false,
      timeout: 30_000,
      maxBuffer: 64 * 1024 * 1024,
    });
    return { status: exitCode, stdout, stderr };
  }
}
