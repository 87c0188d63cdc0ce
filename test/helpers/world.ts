import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { guestContext } from '../../src/guest/context.ts';
import { actOnGuest } from '../../src/guest/phases.ts';
import { foldRecord } from '../../src/guest/record.ts';
import { recover } from '../../src/guest/recover.ts';
import type { HookContext, Outcome } from '../../src/hook/context.ts';
import { runHook } from '../../src/hook/dispatch.ts';
import { type HostPaths, hostPaths } from '../../src/host/paths.ts';
import type { Effects } from '../../src/journal/effects.ts';
import { ownEffects } from '../../src/main/effects.ts';
import { hookContext } from '../../src/main/hook.ts';
import { whatRuns } from '../../src/main/running.ts';
import { readDomain } from '../../src/model/domain.ts';
import { parseXml } from '../../src/xml/document.ts';

/** A host whose files are all below a private directory, and the hooks called in this process. */
export class World {
  readonly root = mkdtempSync(path.join(tmpdir(), 'actualnet-world-'));
  paths: HostPaths = hostPaths(this.root);
  nowMs = Date.now();

  constructor(config = '') {
    mkdirSync(path.join(this.root, 'var/log'), { recursive: true });
    mkdirSync(this.paths.config, { recursive: true });
    if (config !== '') this.configure(config);
  }

  configure(config: string): void {
    writeFileSync(path.join(this.paths.config, 'config.yaml'), config);
  }

  destroy(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  effects(): Effects {
    return ownEffects(this.paths, () => this.nowMs);
  }

  context(effects = this.effects()): HookContext {
    return { ...hookContext(this.paths, { by: 'command', operation: 'test' }), now: () => this.nowMs, effects };
  }

  qemu(operation: string, xml: string, context = this.context()): Promise<Outcome> {
    return this.hook('qemu', 'g1', { operation, xml, context });
  }

  network(name: string, operation: string, xml: string, context = this.context()): Promise<Outcome> {
    return this.hook('network', name, { operation, xml, context });
  }

  async recover(effects = this.effects()): Promise<string[]> {
    const { memory } = this.context();
    const { done, problems } = await recover(whatRuns(this.paths, memory, 0), effects);
    return [...done, ...problems];
  }

  /** What `actualnet reachable` and `unreachable` do. */
  async reach(to: 'reachable' | 'unreachable', xml: string, context = this.context()): Promise<string[]> {
    const { memory, effects, libvirtVersion: version } = context;
    const planning = { config: await context.config(), effects, findNetwork: memory.findNetwork, version };
    const domain = readDomain(parseXml(xml));
    const incoming = foldRecord(domain.uuid!, memory.readRecord(domain.uuid!))?.incoming === true;
    return actOnGuest(to, await guestContext(domain, planning, { incoming, paused: false }));
  }

  /** The records that exist, added up. */
  records() {
    const { memory } = this.context();
    return memory.listRecords().flatMap(guest => foldRecord(guest, memory.readRecord(guest)) ?? []);
  }

  log(): string {
    try {
      return readFileSync(this.paths.log, 'utf8');
    } catch {
      return '';
    }
  }

  private hook(
    driver: 'qemu' | 'network',
    object: string,
    { operation, xml, context }: { operation: string; xml: string; context: HookContext },
  ): Promise<Outcome> {
    const invocation = {
      driver,
      object,
      operation,
      subOperation: 'begin',
      extra: '-',
      readStdin: () => Buffer.from(xml),
    };
    return runHook(invocation, context);
  }
}
