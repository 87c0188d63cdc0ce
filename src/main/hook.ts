import { type Invocation, type Outcome, runHook } from '../hook/dispatch.ts';
import type { HookDriver } from '../hook/phases.ts';
import { findLibvirtVersion } from '../host/libvirt-files.ts';
import { fileLog } from '../host/log-file.ts';
import { fileMemory } from '../host/memory.ts';
import { hostPaths } from '../host/paths.ts';
import { readStdin, writeAll } from '../host/streams.ts';

/** Joins the hook to this host: `argv` is DRIVER OBJECT OPERATION SUB-OPERATION EXTRA. */
export function answerHook(argv: readonly string[]): Outcome {
  const [driver, object = '-', operation = '-', subOperation = '-', extra = '-'] = argv;
  const paths = hostPaths(process.env.ACTUALNET_ROOT || '/');
  const invocation: Invocation = { driver: driver as HookDriver, object, operation, subOperation, extra, readStdin };
  return runHook(invocation, {
    memory: fileMemory(paths, Date.now),
    log: fileLog(paths.log, Date.now),
    now: Date.now,
    libvirtVersion: () => findLibvirtVersion(paths),
  });
}

/** Writes an outcome where libvirt looks for it. */
export function deliver(outcome: Outcome): void {
  writeAll(1, outcome.stdout);
  writeAll(2, outcome.stderr);
  process.exitCode = outcome.status;
}
