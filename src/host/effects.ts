import path from 'node:path';
import type { Effects, LedgerFile } from '../apply/effects.ts';
import { parseUuid } from '../model/values.ts';
import type { FdbEntry, HostView, LinkState, PortVlan } from '../plan/host-view.ts';
import { readBatch, runBatch } from './commands.ts';
import { appendLine, listDirectory, readFileIfAny, removeFile, writeFileAtomically } from './files.ts';
import { readLink } from './links.ts';
import { takeLocks } from './lock.ts';
import { fileNameOf, nameOfFile, parseJsonLines } from './memory.ts';
import type { HostPaths } from './paths.ts';

/** The real host. */
export function hostEffects(paths: HostPaths, clock: () => number): Effects {
  const sharedFile = (dev: string) => path.join(paths.state, 'shared', `${fileNameOf(dev)}.jsonl`);
  return {
    view: needs => viewHost(paths.sys, needs),
    run: runBatch,
    lock: names => takeLocks(path.join(paths.state, 'locks'), names.map(fileNameOf)),
    guestLedger: guest => ledgerFile(path.join(paths.state, 'ledgers', `${guest}.jsonl`)),
    guestsWithLedger: () =>
      listDirectory(path.join(paths.state, 'ledgers')).flatMap(entry => parseUuid(entry.split('.')[0]!) ?? []),
    sharedLedger: dev => ledgerFile(sharedFile(dev)),
    sharedDevices: () =>
      listDirectory(path.join(paths.state, 'shared')).map(entry => nameOfFile(entry.replace(/\.jsonl$/, ''))),
    now: clock,
  };
}

/** Links are read when they are asked for and then kept; tables at once, both in one process. */
async function viewHost(sys: string, needs: { fdb: boolean; vlans: boolean }): Promise<HostView> {
  const links = new Map<string, LinkState | undefined>();
  const link = (dev: string) => {
    if (!links.has(dev)) links.set(dev, readLink(sys, dev));
    return links.get(dev);
  };
  const lines = [...(needs.fdb ? ['fdb show'] : []), ...(needs.vlans ? ['vlan show'] : [])];
  const tables = lines.length === 0 ? [] : await readBatch('bridge', lines);
  return {
    link,
    fdb: needs.fdb ? readFdb(tables[0]) : [],
    vlans: needs.vlans ? readVlans(tables[needs.fdb ? 1 : 0]) : [],
  };
}

/** `bridge -j fdb show`: an entry with a master is in that bridge's table; static and permanent ones are fixed. */
function readFdb(table: unknown): FdbEntry[] {
  const rows = (table ?? []) as { mac: string; ifname: string; master?: string; flags?: string[]; state?: string }[];
  return rows.map(({ mac, ifname, master, flags = [], state = '' }) => ({
    mac,
    dev: ifname,
    table: master === undefined || flags.includes('self') ? 'self' : 'bridge',
    fixed: state === 'static' || state === 'permanent',
  }));
}

/** `bridge -j vlan show`. */
function readVlans(table: unknown): PortVlan[] {
  const rows = (table ?? []) as { ifname: string; vlans?: { vlan: number; vlanEnd?: number; flags?: string[] }[] }[];
  return rows.flatMap(({ ifname, vlans = [] }) =>
    vlans.flatMap(({ vlan, vlanEnd = vlan, flags = [] }) => {
      const how = [
        ...(flags.includes('PVID') ? ['pvid'] : []),
        ...(flags.includes('Egress Untagged') ? ['untagged'] : []),
      ];
      const range = Array.from({ length: vlanEnd - vlan + 1 }, (_, offset) => vlan + offset);
      return range.map(id => ({ dev: ifname, id, how: (how.join(' ') || 'tagged') as PortVlan['how'] }));
    }),
  );
}

function ledgerFile(file: string): LedgerFile {
  const textOf = (lines: readonly object[]) => lines.map(line => JSON.stringify(line)).join('\n');
  return {
    read: () => parseJsonLines(readFileIfAny(file)?.toString() ?? ''),
    append: lines => {
      if (lines.length > 0) appendLine(file, textOf(lines));
    },
    replace: lines => {
      if (lines.length === 0) removeFile(file);
      else writeFileAtomically(file, `${textOf(lines)}\n`);
    },
  };
}
