import fs from 'node:fs';
import path from 'node:path';
import type { CommandFailure } from '../../journal/effects.ts';
import type { PciAction, PciCommand } from '../../kernel/kind.ts';
import { isZeroMacRefused, readVfs } from '../../kernel/vf.ts';
import type { PciAddress } from '../../model/pci-address.ts';
import { readKernelFile, removeFile, writeFileForAll } from '../files.ts';
import type { HostPaths } from '../paths.ts';
import { runBounded } from '../process/bounded.ts';
import { ownBatches } from './batches.ts';
import { pciDirectory, readPciDevice } from './pci.ts';

/** A driver that gives a device back waits for its user; so long, and no longer, do we. */
const writeLimitMs = 5000;
/** Making VFs, and udev naming their links: two writes and a wait must be over before the launcher ends the call. */
const provisionLimitMs = 7000;
const settleLimitMs = 4000;

const leftToItself = 'left to itself';

/** Carries out commands one after the other, up to the first that fails unless told to keep going. */
export async function runPciCommands(
  paths: HostPaths,
  commands: readonly PciCommand[],
  { keepGoing }: { readonly keepGoing: boolean },
): Promise<CommandFailure[]> {
  const failures: CommandFailure[] = [];
  for (const [place, { action }] of commands.entries()) {
    const message = await runAction(paths, action);
    if (message !== undefined) failures.push({ place, message });
    if (message !== undefined && !keepGoing) break;
  }
  return failures;
}

/** The overrides of devices; a device that keeps its readers waiting counts as without one. */
export async function readOverrides(
  paths: HostPaths,
  devices: readonly PciAddress[],
): Promise<ReadonlyMap<PciAddress, string>> {
  const overrides = new Map<PciAddress, string>();
  for (const address of devices) {
    const file = path.join(pciDirectory(paths.sys, address), 'driver_override');
    const { stdout } = await runBounded('cat', [file], { limitMs: writeLimitMs });
    const name = stdout.trim();
    if (name !== '' && name !== '(null)') overrides.set(address, name);
  }
  return overrides;
}

/** The file whose presence says that network managers leave a PF's VFs alone. */
export function unmanagedRuleFile(paths: HostPaths, pf: string): string {
  return path.join(paths.udevRules, `85-actualnet-${pf}.rules`);
}

async function runAction(paths: HostPaths, action: PciAction): Promise<string | undefined> {
  switch (action.do) {
    case 'bind':
      return bindWithMac(paths, action);
    case 'make VFs':
      return provisionVfs(paths, action.pf, action.count);
    case 'leave VFs alone':
      return action.on ? addUnmanagedRule(paths, action.pf) : removeUnmanagedRule(paths, action.pf);
  }
}

/**
 * A VF's link takes its MAC address from the PF when its driver is bound, or a new one each time if the PF has none for it.
 * So that it comes back as it was, the PF has its old one for that moment; of two ports both, as only the link will tell which
 * is its own.
 */
async function bindWithMac(
  paths: HostPaths,
  { address, mac, driver, override }: Extract<PciAction, { do: 'bind' }>,
): Promise<string | undefined> {
  const binding = { driver: driver ?? undefined, override: override ?? '' };
  const pf = readPciDevice(paths.sys, address)?.pf;
  const ports = pf?.ports?.all ?? (pf?.dev ? [pf.dev] : []);
  if (mac === null || driver === null || !pf || ports.length === 0) return bindDriver(paths, address, binding);
  const setMac = async (port: string, to: string) => {
    const words = ['link', 'set', 'dev', port, 'vf', `${pf.vf}`, 'mac', to];
    const { status, complaint } = await runBounded('ip', words, { limitMs: writeLimitMs });
    return status === 0 ? undefined : complaint;
  };
  const held = await readHeldMacs(ports, pf.vf);
  const answers = new Map<string, string | undefined>();
  for (const port of ports) answers.set(port, await setMac(port, mac));
  const taken = ports.filter(port => answers.get(port) === undefined);
  if (taken.length === 0) return answers.get(ports[0]!);
  const failed = await bindDriver(paths, address, binding);
  let back: string | undefined;
  for (const port of taken) {
    const before = held.get(port);
    // Where the driver takes no all-zero one back, it may keep the link's own.
    const refused = before === undefined || before === mac ? undefined : await setMac(port, before);
    back ??= isZeroMacRefused(before ?? '', refused ?? '') ? undefined : refused;
  }
  return failed ?? back;
}

/** What each port of a PF holds for one of its VFs. */
async function readHeldMacs(ports: readonly string[], vf: number): Promise<ReadonlyMap<string, string>> {
  const shown = await ownBatches.readBatch(
    'ip',
    ports.map(port => `link show dev ${port}`),
  );
  return new Map(
    ports.flatMap((port, place) => {
      const mac = readVfs(shown[place]).find(([number]) => number === vf)?.[1].mac;
      return typeof mac === 'string' ? [[port, mac] as const] : [];
    }),
  );
}

/** The kernel's way since 3.16, as libvirt has it: reserve, unbind, ask the bus to probe. */
async function bindDriver(
  paths: HostPaths,
  address: PciAddress,
  { driver, override }: { driver: string | undefined; override: string },
): Promise<string | undefined> {
  const directory = pciDirectory(paths.sys, address);
  const before = driverOf(directory);
  if (driver !== undefined && !hasDriver(paths, driver)) {
    await runBounded('modprobe', ['--', driver], { limitMs: writeLimitMs });
    if (!hasDriver(paths, driver)) return `there is no driver '${driver}'`;
  }
  const reserve = (name: string) => write(path.join(directory, 'driver_override'), `${name}\n`);
  const probe = () => write(path.join(paths.sys, 'bus/pci/drivers_probe'), address);
  const reserved = await reserve(override);
  if (reserved !== undefined || before === driver) return reserved;
  if (before !== undefined) {
    const released = await write(path.join(directory, 'driver/unbind'), address);
    if (released !== undefined) return released;
  }
  if (driver === undefined) return undefined;
  const probed = await probe();
  if (probed === undefined && driverOf(directory) === driver) return undefined;
  const why = probed ?? `driver '${driver}' did not take it, it is on ${driverOf(directory) ?? 'no driver'}`;
  // Rather what it had than nothing.
  if (driverOf(directory) === undefined && (await reserve('')) === undefined) await probe();
  return why;
}

/** From one number to another only by way of none; the caller has made sure that no VF is in use. */
async function provisionVfs(paths: HostPaths, pf: string, count: number): Promise<string | undefined> {
  const device = path.join(paths.sys, 'class/net', pf, 'device');
  const present = () =>
    fs.existsSync(device) ? fs.readdirSync(device).filter(name => /^virtfn\d+$/.test(name)).length : 0;
  const before = present();
  const most = Number(readKernelFile(device, 'sriov_totalvfs') || Number.POSITIVE_INFINITY);
  if (count > most) return `it can have no more than ${most}`;
  const make = (number: number) => write(path.join(device, 'sriov_numvfs'), `${number}`, provisionLimitMs);
  const removed = before > 0 && count > 0 ? await make(0) : undefined;
  if (removed !== undefined) return removed;
  const failed = await make(count);
  if (failed !== undefined) {
    // Rather those that were there than none; what the kernel has not finished may still make the others.
    const isRefused = before > 0 && present() === 0 && !failed.includes(leftToItself);
    const back = isRefused ? await make(before) : undefined;
    return back === undefined ? failed : `${failed}, and those that were there are gone: ${back}`;
  }
  await runBounded('udevadm', ['settle', '--timeout=3'], { limitMs: settleLimitMs });
  return present() === count ? undefined : `the driver made ${present()} of them`;
}

/** NetworkManager and systemd-networkd both go by what udev says of a link. */
async function addUnmanagedRule(paths: HostPaths, pf: string): Promise<string | undefined> {
  const rule = `ACTION!="remove", SUBSYSTEM=="net", TEST=="device/physfn/net/${pf}", ENV{NM_UNMANAGED}="1", ENV{ID_NET_MANAGED_BY}="actualnet"`;
  writeFileForAll(unmanagedRuleFile(paths, pf), `# Made by actualnet, and removed by it.\n${rule}\n`);
  await reloadRules();
  return undefined;
}

async function removeUnmanagedRule(paths: HostPaths, pf: string): Promise<undefined> {
  removeFile(unmanagedRuleFile(paths, pf));
  await reloadRules();
}

async function reloadRules(): Promise<void> {
  await runBounded('udevadm', ['control', '--reload'], { limitMs: writeLimitMs });
}

/** Writes through a child: a write that the kernel keeps waiting must not keep us. */
async function write(file: string, text: string, limitMs = writeLimitMs): Promise<string | undefined> {
  const { timedOut, status, complaint } = await runBounded('tee', [file], { input: text, limitMs });
  if (timedOut) return `the kernel did not finish it within ${limitMs / 1000} s, so it was ${leftToItself}`;
  return status === 0 ? undefined : (complaint.split(': ').at(-1) ?? 'it failed');
}

function hasDriver(paths: HostPaths, driver: string): boolean {
  return fs.existsSync(path.join(paths.sys, 'bus/pci/drivers', driver));
}

function driverOf(directory: string): string | undefined {
  try {
    return path.basename(fs.readlinkSync(path.join(directory, 'driver')));
  } catch {
    return undefined;
  }
}
