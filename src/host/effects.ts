import path from 'node:path';
import type { CommandFailure, Effects, LedgerFile } from '../journal/effects.ts';
import { readFdb } from '../kernel/fdb.ts';
import type { HostView, LinkState, Needs, PciDevice } from '../kernel/host-view.ts';
import type { Command } from '../kernel/kind.ts';
import { readVfs } from '../kernel/vf.ts';
import { readVlans } from '../kernel/vlan.ts';
import type { PciAddress } from '../model/pci-address.ts';
import { parseUuid } from '../model/values.ts';
import {
  appendLine,
  exists,
  listDirectory,
  readFileIfAny,
  removeFile,
  requirePrivate,
  writeFileAtomically,
} from './files.ts';
import { readAddresses, readWaysOut } from './kernel/addresses.ts';
import { type Batches, batchesIn, ownBatches, startTool } from './kernel/batches.ts';
import { listHolders, vfioNodes } from './kernel/holders.ts';
import { readLink } from './kernel/links.ts';
import { listPfs, readPciDevice } from './kernel/pci.ts';
import { readOverrides, runPciCommands, unmanagedRuleFile } from './kernel/pci-commands.ts';
import { runAgain } from './kernel/run-again.ts';
import { readQemuAccess } from './libvirt/qemu-access.ts';
import { once, remember } from './once.ts';
import type { HostPaths } from './paths.ts';
import { takeLocks } from './process/lock.ts';
import type { Patience } from './process/patience.ts';
import { fileNameOf, nameOfFile } from './state/file-names.ts';
import { parseJsonLines } from './state/memory.ts';
import { sharedIndex } from './state/shared-index.ts';

/** The programs through which a host is read and set. */
export interface Programs extends Batches {
  readonly runPciCommands: typeof runPciCommands;
  readonly readOverrides: typeof readOverrides;
}

export const ownPrograms: Programs = { ...ownBatches, runPciCommands, readOverrides };

/** The same for somebody who does not wait for ever. */
export function programsFor(patience: Patience): Programs {
  return { ...ownPrograms, ...batchesIn(startTool, patience) };
}

/** What is written about a host's guests. */
export interface GuestKnowledge {
  readonly isGone: Effects['isGone'];
  /** Whether something is kept, to be put back, of a PF's VF as it is set through that link. */
  readonly isKeptThrough: (pf: string, vf: number) => boolean;
  /** Reads who has a device or is being given it; the answer tells it of each. */
  readonly assignees: () => HostView['assignee'];
}

const nothingWritten: GuestKnowledge = {
  isGone: () => false,
  isKeptThrough: () => false,
  assignees: () => () => undefined,
};

/** The real host, or what others make of its programs. */
export function hostEffects(
  paths: HostPaths,
  clock: () => number,
  {
    programs = ownPrograms,
    guests = nothingWritten,
    patience,
  }: { readonly programs?: Programs; readonly guests?: GuestKnowledge; readonly patience?: Patience | undefined } = {},
): Effects {
  const sharedFile = (dev: string) => ledgerFile(path.join(paths.state, 'shared', `${fileNameOf(dev)}.jsonl`));
  const sharedNames = () =>
    listDirectory(path.join(paths.state, 'shared')).map(entry => nameOfFile(entry.replace(/\.jsonl$/, '')));
  const index = sharedIndex(path.join(paths.state, 'shared-by'), () =>
    sharedNames().map(name => ({ name, users: usersNamedIn(tryRead(sharedFile(name))) })),
  );
  return {
    view: needs => viewHost(paths, needs, { programs, guests }),
    run: (commands, options) => runAgain(some => runTool(some, { paths, programs, options }), commands, options),
    lock: names => takeLocks(path.join(paths.state, 'locks'), names.map(fileNameOf), patience),
    guestLedger: guest => ({ ...ledgerFile(path.join(paths.state, 'ledgers', `${guest}.jsonl`)), user: guest }),
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
  const keptByLibvirt = (pf: string, vf: number) => exists(path.join(paths.libvirtHostdevState, `${pf}_vf${vf}`));
  const isSetThrough = (port: string, vf: number) => keptByLibvirt(port, vf) || guests.isKeptThrough(port, vf);
  const link = remember((dev: string): LinkState | undefined => readLink(sys, dev));
  const pci = remember((address: PciAddress) => withKnownPort(readPciDevice(sys, address), isSetThrough));
  const allHolders = once(() => listHolders(paths.proc));
  const assignees = once(guests.assignees);
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
  const addresses = await readAddresses(
    (needs.addresses ?? []).filter(dev => link(dev) !== undefined),
    programs,
  );
  const waysOut = once(() => readWaysOut(paths.proc));
  const overrides = needs.drivers?.length ? await programs.readOverrides(paths, needs.drivers) : new Map();
  return {
    link,
    fdb: needs.fdb ? readFdb(tables[0]) : [],
    vlans: needs.vlans ? readVlans(tables[needs.fdb ? 1 : 0]) : [],
    pci,
    pfs: () => listPfs(sys),
    hasPci: exists(path.join(sys, 'bus/pci/devices')),
    hasLinks: exists(path.join(sys, 'class/net')),
    addresses: dev => addresses.get(dev) ?? [],
    isWayOut: dev => waysOut().has(dev),
    vf: (pf, vf) => states.get(`${pf} ${vf}`),
    keptByLibvirt,
    unmanaged: pf => exists(unmanagedRuleFile(paths, pf)),
    driver: address => {
      const { driver = null, pf = null, netdevs = [] } = pci(address) ?? {};
      const mac = pf === null || netdevs[0] === undefined ? null : (link(netdevs[0])?.mac ?? null);
      const override = overrides.get(address) ?? null;
      return driver === null && override === null ? null : { driver, override, mac };
    },
    assignee: address => assignees()(address),
    holders: address => {
      const device = pci(address);
      return device === undefined ? [] : vfioNodes(device).flatMap(node => allHolders().get(node) ?? []);
    },
    holdersOfMacvtap: dev => allHolders().get(`/dev/tap${link(dev)?.index}`) ?? [],
  };
}

/**
 * While a VF has no link of its own, what was begun with it tells through which of two ports it is set: libvirt looks for
 * its file in the same way (virHostdevReadNetConfig).
 */
function withKnownPort(
  device: PciDevice | undefined,
  isSetThrough: (port: string, vf: number) => boolean,
): PciDevice | undefined {
  const { pf = null, netdevs = [] } = device ?? {};
  if (device === undefined || pf?.ports === undefined || netdevs.length > 0) return device;
  return { ...device, pf: { ...pf, dev: pf.ports.all.find(port => isSetThrough(port, pf.vf)) ?? pf.dev } };
}

/** Commands of one tool. */
function runTool(
  commands: readonly Command[],
  { paths, programs, options }: { paths: HostPaths; programs: Programs; options: { readonly keepGoing: boolean } },
): Promise<CommandFailure[]> {
  const ofPci = commands.filter(command => command.tool === 'pci');
  const [first] = commands;
  if (first === undefined || first.tool === 'pci') return programs.runPciCommands(paths, ofPci, options);
  return programs.runBatch(
    first.tool,
    commands.map(({ line }) => line),
    options,
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
