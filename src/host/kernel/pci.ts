import fs from 'node:fs';
import path from 'node:path';
import type { PciDevice } from '../../kernel/host-view.ts';
import { isPciAddress, type PciAddress } from '../../model/pci-address.ts';
import { isRepresentor } from './links.ts';

/**
 * A PCI device as sysfs shows it; undefined if there is none. Only files are read that do not take the device's lock:
 * while a driver is being unbound, `driver_override`, `sriov_numvfs` and others keep every reader waiting.
 */
export function readPciDevice(sys: string, address: PciAddress, again = true): PciDevice | undefined {
  const directory = pciDirectory(sys, address);
  if (!fs.existsSync(directory)) return undefined;
  try {
    const names = fs.readdirSync(directory);
    const linked = (name: string) =>
      names.includes(name) ? path.basename(fs.readlinkSync(path.join(directory, name))) : undefined;
    const physfn = linked('physfn');
    const vfs = names.filter(name => /^virtfn\d+$/.test(name)).sort((a, b) => numberIn(a) - numberIn(b));
    const numaNode = names.includes('numa_node') ? Number(read(directory, 'numa_node')) : -1;
    const netdevs = names.includes('net') ? fs.readdirSync(path.join(directory, 'net')).sort() : [];
    return {
      address,
      driver: linked('driver') ?? null,
      isBridge: read(directory, 'class').startsWith('0x0604'),
      isNetwork: read(directory, 'class').startsWith('0x02'),
      numaNode: numaNode < 0 ? null : numaNode,
      group: names.includes('iommu_group') ? readGroup(directory) : null,
      ownLink: portsOf(directory)[0] ?? null,
      netdevs,
      // The directory comes with the first link and goes with the last, and shows only those of this namespace.
      isElsewhere: names.includes('net') && netdevs.length === 0,
      pf: physfn !== undefined && isPciAddress(physfn) ? readPf(sys, physfn, address) : null,
      vfs: vfs.flatMap(name => linked(name) ?? []).filter(isPciAddress),
      vfioDevice: names.includes('vfio-dev') ? (fs.readdirSync(path.join(directory, 'vfio-dev'))[0] ?? null) : null,
    };
  } catch {
    // It has changed meanwhile, or has gone.
    return again ? readPciDevice(sys, address, false) : undefined;
  }
}

export function pciDirectory(sys: string, address: PciAddress): string {
  return path.join(sys, 'bus/pci/devices', address);
}

/** The addresses of all PFs that can have VFs, or none where there is no PCI. */
export function listPfs(sys: string): PciAddress[] {
  const devices = path.join(sys, 'bus/pci/devices');
  if (!fs.existsSync(devices)) return [];
  const canHaveVfs = (address: string) => fs.existsSync(path.join(devices, address, 'sriov_totalvfs'));
  return fs.readdirSync(devices).filter(isPciAddress).filter(canHaveVfs).sort();
}

function readGroup(directory: string): NonNullable<PciDevice['group']> {
  const group = path.join(directory, 'iommu_group');
  const members = fs.readdirSync(path.join(group, 'devices')).filter(isPciAddress);
  return { number: Number(path.basename(fs.readlinkSync(group))), members: members.sort() };
}

function readPf(sys: string, pf: PciAddress, vf: PciAddress): PciDevice['pf'] {
  const directory = pciDirectory(sys, pf);
  const own = fs
    .readdirSync(directory)
    .find(name => /^virtfn\d+$/.test(name) && path.basename(fs.readlinkSync(path.join(directory, name))) === vf);
  if (own === undefined) return null;
  const ports = portsOf(directory);
  const present = { address: pf, dev: ports[0] ?? null, vf: numberIn(own) };
  if (ports.length < 2) return present;
  const of = matchPorts(directory, ports, pciDirectory(sys, vf));
  return { ...present, dev: Object.values(of)[0] ?? present.dev, ports: { all: ports, of } };
}

/**
 * The links through which a PF's VFs are set, by port. In switchdev mode the PF has one more link for each VF, its
 * representor, which the kernel names `pf0vf1` and the like.
 */
function portsOf(directory: string): string[] {
  const net = path.join(directory, 'net');
  const names = fs.existsSync(net) ? fs.readdirSync(net).sort() : [];
  if (names.length < 2) return names;
  const own = names.filter(name => !isRepresentor(readIfTold(net, name, 'phys_port_name')));
  const port = (name: string) => Number(readIfTold(net, name, 'dev_port'));
  return own.sort((a, b) => port(a) - port(b));
}

/** For each of a VF's links the port with the same `phys_port_id`. */
function matchPorts(pf: string, ports: readonly string[], vf: string): Record<string, string> {
  const net = path.join(vf, 'net');
  const links = fs.existsSync(net) ? fs.readdirSync(net).sort() : [];
  const idOf = (directory: string, name: string) => readIfTold(directory, 'net', name, 'phys_port_id');
  return Object.fromEntries(
    links.flatMap(link => {
      const id = idOf(vf, link);
      const port = id === '' ? undefined : ports.find(each => idOf(pf, each) === id);
      return port === undefined ? [] : [[link, port] as const];
    }),
  );
}

/** Some drivers answer these with "not supported". */
function readIfTold(...parts: string[]): string {
  try {
    return read(...parts);
  } catch {
    return '';
  }
}

function read(...parts: string[]): string {
  return fs.readFileSync(path.join(...parts), 'latin1').trim();
}

function numberIn(virtfn: string): number {
  return Number(virtfn.slice('virtfn'.length));
}
