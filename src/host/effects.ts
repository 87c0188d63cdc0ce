import path from 'node:path';
import type { Effects, LedgerFile } from '../apply/effects.ts';
import type { PciAddress } from '../model/pci-address.ts';
import { parseUuid } from '../model/values.ts';
import { formatDriver } from '../model/vf-values.ts';
import type { FdbEntry, HostView, LinkState, Needs, PciDevice, PortVlan } from '../plan/host-view.ts';
import { type Batches, ownBatches } from './commands.ts';
import { fileNameOf, nameOfFile } from './file-names.ts';
import {
  appendLine,
  exists,
  listDirectory,
  readFileIfAny,
  removeFile,
  requirePrivate,
  writeFileAtomically,
} from './files.ts';
import { listHolders, vfioNodes } from './holders.ts';
import { readLink } from './links.ts';
import { takeLocks } from './lock.ts';
import { parseJsonLines } from './memory.ts';
import { once, remember } from './once.ts';
import type { HostPaths } from './paths.ts';
import { listPfs, readPciDevice } from './pci.ts';
import { readOverrides, runPciCommands, unmanagedRuleFile } from './pci-commands.ts';
import { readQemuAccess } from './qemu-access.ts';
import { sharedIndex } from './shared-index.ts';
import { readVfs } from './vfs.ts';

/** The programs through which a host is read and set. */
export interface Programs extends Batches {
  readonly runPciCommands: typeof runPciCommands;
  readonly readOverrides: typeof readOverrides;
}

export const ownPrograms: Programs = { ...ownBatches, runPciCommands, readOverrides };

/** What is written about a host's guests. */
export interface GuestKnowledge {
  readonly isGone: Effects['isGone'];
  /** Reads who has a device or is being given it; the answer tells it of each. */
  readonly claimants: () => HostView['claimant'];
}

const nothingWritten: GuestKnowledge = { isGone: () => false, claimants: () => () => undefined };

/** The real host, or what others make of its programs. */
export function hostEffects(
  paths: HostPaths,
  clock: () => number,
  {
    programs = ownPrograms,
    guests = nothingWritten,
  }: { readonly programs?: Programs; readonly guests?: GuestKnowledge } = {},
): Effects {
  const sharedFile = (dev: string) => ledgerFile(path.join(paths.state, 'shared', `${fileNameOf(dev)}.jsonl`));
  const sharedNames = () =>
    listDirectory(path.join(paths.state, 'shared')).map(entry => nameOfFile(entry.replace(/\.jsonl$/, '')));
  const index = sharedIndex(path.join(paths.state, 'shared-by'), () =>
    sharedNames().map(name => ({ name, users: usersNamedIn(tryRead(sharedFile(name))) })),
  );
  return {
    view: needs => viewHost(paths, needs, { programs, guests }),
    run: (tool, lines, options) =>
      tool === 'pci' ? programs.runPciCommands(paths, lines, options) : programs.runBatch(tool, lines, options),
    lock: names => takeLocks(path.join(paths.state, 'locks'), names.map(fileNameOf)),
    guestLedger: guest => ledgerFile(path.join(paths.state, 'ledgers', `${guest}.jsonl`)),
    guestsWithLedger: () =>
      listDirectory(path.join(paths.state, 'ledgers')).flatMap(entry => parseUuid(entry.split('.')[0]!) ?? []),
    sharedLedger(dev) {
      const file = sharedFile(dev);
      return {
        ...file,
        append(lines) {
          for (const user of usersNamedIn(lines)) index.note(user, dev);
          file.append(lines);
        },
      };
    },
    sharedNames,
    sharedIndex: index,
    isGone: guests.isGone,
    qemuAccess: guest => readQemuAccess(paths, guest),
    now: clock,
  };
}

/** A line of a ledger, as far as it names users. */
interface NamingLine {
  readonly intend?: { readonly user?: string };
  readonly join?: string;
  readonly user?: string;
  readonly entry?: { readonly users?: readonly string[] };
}

/** The users that lines of a ledger name; '' stands for those that entries without one have. */
function usersNamedIn(lines: readonly unknown[]): string[] {
  const named = (lines as readonly NamingLine[]).flatMap(({ intend, join, user, entry }) => {
    if (entry?.users !== undefined) return entry.users.length === 0 ? [''] : entry.users;
    return (join === undefined ? intend?.user : user) ?? [];
  });
  return [...new Set(named)];
}

/** Links and devices are read when they are asked for and then kept; tables at once, each tool's in one process. */
async function viewHost(
  paths: HostPaths,
  needs: Needs,
  { programs, guests }: { readonly programs: Programs; readonly guests: GuestKnowledge },
): Promise<HostView> {
  const { sys } = paths;
  const link = remember((dev: string): LinkState | undefined => readLink(sys, dev));
  const pci = remember((address: PciAddress): PciDevice | undefined => readPciDevice(sys, address));
  const allHolders = once(() => listHolders(paths.proc));
  const claimants = once(guests.claimants);
  const lines = [...(needs.fdb ? ['fdb show'] : []), ...(needs.vlans ? ['vlan show'] : [])];
  const tables = lines.length === 0 ? [] : await programs.readBatch('bridge', lines);
  const pfs = [...new Set(needs.vfs)].filter(pf => link(pf) !== undefined);
  const vfs =
    pfs.length === 0
      ? []
      : await programs.readBatch(
          'ip',
          pfs.map(pf => `link show dev ${pf}`),
        );
  const states = new Map(
    vfs.flatMap((shown, place) => readVfs(shown).map(([vf, state]) => [`${pfs[place]} ${vf}`, state])),
  );
  const overrides = needs.drivers?.length ? await programs.readOverrides(paths, needs.drivers) : new Map();
  return {
    link,
    fdb: needs.fdb ? readFdb(tables[0]) : [],
    vlans: needs.vlans ? readVlans(tables[needs.fdb ? 1 : 0]) : [],
    pci,
    pfs: () => listPfs(sys),
    hasPci: exists(path.join(sys, 'bus/pci/devices')),
    vf: (pf, vf) => states.get(`${pf} ${vf}`),
    keptByLibvirt: (pf, vf) => exists(path.join(paths.libvirtHostdevState, `${pf}_vf${vf}`)),
    unmanaged: pf => exists(unmanagedRuleFile(paths, pf)),
    driver: address => {
      const { driver = null, pf = null, netdevs = [] } = pci(address) ?? {};
      const mac = pf === null || netdevs[0] === undefined ? null : (link(netdevs[0])?.mac ?? null);
      return formatDriver({ driver, override: overrides.get(address) ?? null, mac });
    },
    claimant: address => claimants()(address),
    holders: address => {
      const device = pci(address);
      return device === undefined ? [] : vfioNodes(device).flatMap(node => allHolders().get(node) ?? []);
    },
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

/** One that cannot be read is told of by whoever looks at all of them. */
function tryRead(file: LedgerFile): readonly unknown[] {
  try {
    return file.read();
  } catch {
    return [];
  }
}

function ledgerFile(file: string): LedgerFile {
  const directory = path.dirname(file);
  const content = () => {
    for (const each of [path.dirname(directory), directory]) requirePrivate(each);
    return readFileIfAny(file)?.toString() ?? '';
  };
  const textOf = (lines: readonly object[]) => lines.map(line => JSON.stringify(line)).join('\n');
  return {
    read: () => parseJsonLines(content()),
    append: lines => {
      if (lines.length > 0) appendLine(file, textOf(lines));
    },
    replace: lines => {
      if (lines.length === 0) removeFile(file);
      else writeFileAtomically(file, `${textOf(lines)}\n`);
    },
  };
}
