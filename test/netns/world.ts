import { readdirSync } from 'node:fs';
import { execaSync } from 'execa';
import { hostPaths } from '../../src/host/paths.ts';
import { World as PrivateWorld } from '../helpers/world.ts';

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
export class World extends PrivateWorld {
  override paths = { ...hostPaths(this.root), sys: '/sys' };

  /** Removes every link and the state. */
  override destroy(): void {
    for (const dev of readdirSync('/sys/class/net')) {
      if (dev !== 'lo') execaSync('ip', ['link', 'del', dev], { reject: false });
    }
    super.destroy();
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

/** What `hostState` says of one link. */
export function lineOf(dev: string): string | undefined {
  return hostState().find(line => line.startsWith(`${dev} `));
}
