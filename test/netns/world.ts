import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execaSync } from 'execa';
import type { Effects } from '../../src/apply/effects.ts';
import { actOnGuest, guestAtHand } from '../../src/apply/guest.ts';
import { foldRecord } from '../../src/apply/record.ts';
import { recover } from '../../src/apply/recover.ts';
import { type HookContext, type Outcome, runHook } from '../../src/hook/dispatch.ts';
import { hostEffects } from '../../src/host/effects.ts';
import { type HostPaths, hostPaths } from '../../src/host/paths.ts';
import { hookContext } from '../../src/main/hook.ts';
import { survivors } from '../../src/main/survivors.ts';
import { readDomain } from '../../src/model/domain.ts';
import { parseXml } from '../../src/xml/document.ts';

/** Set by scripts/in-namespace.mjs. Outside, these tests would act on the machine's own links. */
export const inNamespace = process.env.ACTUALNET_NAMESPACE === '1';

/** Asks the kernel for something; says why not. */
export function kernelLacks(...words: string[]): string | undefined {
  if (!inNamespace) return 'not in a private namespace';
  const { exitCode, stderr } = execaSync('ip', words, { reject: false });
  if (exitCode === 0) ip('link', 'del', 'probe0');
  return exitCode === 0 ? undefined : stderr.split('\n')[0];
}

export function ip(...words: string[]): void {
  execaSync('ip', words);
}

/** A host of its own in this namespace: the kernel's links, and a private state directory. */
export class World {
  readonly root = mkdtempSync(path.join(tmpdir(), 'actualnet-world-'));
  readonly paths: HostPaths = { ...hostPaths(this.root), sys: '/sys' };
  nowMs = Date.now();

  constructor(config = '') {
    mkdirSync(path.join(this.root, 'var/log'), { recursive: true });
    mkdirSync(this.paths.config, { recursive: true });
    if (config !== '') writeFileSync(path.join(this.paths.config, 'config.yaml'), config);
  }

  /** Removes every link and the state. */
  destroy(): void {
    for (const dev of readdirSync('/sys/class/net')) {
      if (dev !== 'lo') execaSync('ip', ['link', 'del', dev], { reject: false });
    }
    rmSync(this.root, { recursive: true, force: true });
  }

  effects(): Effects {
    return hostEffects(this.paths, () => this.nowMs);
  }

  context(effects = this.effects()): HookContext {
    return { ...hookContext(this.paths), now: () => this.nowMs, effects };
  }

  qemu(operation: string, xml: string, context = this.context()): Promise<Outcome> {
    return this.hook('qemu', 'g1', { operation, xml, context });
  }

  network(name: string, operation: string, xml: string, context = this.context()): Promise<Outcome> {
    return this.hook('network', name, { operation, xml, context });
  }

  async recover(effects = this.effects()): Promise<string[]> {
    const { memory } = this.context();
    const { done, problems } = await recover(survivors(this.paths, memory, 0), effects);
    return [...done, ...problems];
  }

  /** What `actualnet reachable` and `unreachable` do. */
  async reach(to: 'reachable' | 'unreachable', xml: string, context = this.context()): Promise<string[]> {
    const { memory, effects, libvirtVersion: version } = context;
    const planning = { config: await context.config(), effects, findNetwork: memory.findNetwork, version };
    return actOnGuest(to, guestAtHand(readDomain(parseXml(xml)), planning));
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

/** Links and fixed forwarding entries as text, comparable before and after: names, kinds, flags, addresses, masters. */
export function hostState(): string[] {
  const links = JSON.parse(execaSync('ip', ['-j', '-d', 'link', 'show']).stdout) as unknown[];
  const lines = links.map(link => {
    const {
      ifname,
      address,
      mtu,
      master,
      link: lower,
      flags,
      linkinfo,
    } = link as {
      ifname: string;
      address: string;
      mtu: number;
      master?: string;
      link?: string;
      flags: string[];
      linkinfo?: { info_kind?: string; info_data?: Record<string, unknown>; info_slave_data?: Record<string, unknown> };
    };
    const { learning, flood, isolated } = linkinfo?.info_slave_data ?? {};
    const { multi_queue, user } = linkinfo?.info_data ?? {};
    const port = master === undefined ? '' : ` in ${master} learning ${learning} flood ${flood} isolated ${isolated}`;
    const tap = multi_queue === undefined ? '' : ` multiqueue ${multi_queue} user ${user}`;
    return `${ifname} ${linkinfo?.info_kind ?? ''} on ${lower ?? '-'} ${address} mtu ${mtu} ${flags.includes('UP') ? 'up' : 'down'}${port}${tap}`;
  });
  const entries = JSON.parse(execaSync('bridge', ['-j', 'fdb', 'show']).stdout) as {
    mac: string;
    ifname: string;
    master?: string;
    state: string;
  }[];
  const fixed = entries
    .filter(({ mac, state }) => state !== '' && !/^(33:33|01:00:5e)/.test(mac))
    .map(({ mac, ifname, master, state }) => `${mac} ${state} on ${ifname}${master ? ` of ${master}` : ' itself'}`);
  return [...lines, ...fixed].sort();
}
