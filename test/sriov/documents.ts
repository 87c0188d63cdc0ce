import { createHash } from 'node:crypto';

export interface GuestOptions {
  readonly name: string;
  /** Follows from the name unless given. */
  readonly uuid?: string;
  /** Elements of `<devices>`: interfaces, hostdevs. */
  readonly devices?: readonly string[];
}

/** Firmware that halts at once: an emulated machine that emulates a CPU at work is slow, and not to be relied upon for long. */
export const haltRom = '/var/lib/libvirt/halt.rom';

/** A guest without an operating system: it runs, and no more. It never lets go of a device that is unplugged. */
export function bareGuestXml(options: GuestOptions): string {
  return guestXml(options, { memoryMib: 64, boot: `<loader readonly='yes' type='rom'>${haltRom}</loader>` });
}

/** The addresses a guest uses. Its cards' are in `subnet` and end with the last byte of their MAC: not as the peer's, then. */
export interface Addresses {
  /** The first three numbers. */
  readonly subnet: string;
  readonly peer: string;
}

/** Where `installSmallOs` puts it. */
export const smallOs = { kernel: '/var/lib/small-os/vmlinuz', initrd: '/var/lib/small-os/initrd' } as const;

/** A guest with the small operating system, which pings the peer through each card it gets. */
export function smallOsGuestXml(options: GuestOptions, { subnet, peer }: Addresses): string {
  // The kernel gives words that it does not know to init, in its environment.
  const words = `console=ttyS0 quiet panic=-1 mitigations=off nokaslr subnet=${subnet} peer=${peer}`;
  const files = `<kernel>${smallOs.kernel}</kernel><initrd>${smallOs.initrd}</initrd>`;
  return guestXml(options, { memoryMib: 192, boot: `${files}<cmdline>${words}</cmdline>` });
}

/** Where a guest's serial console is written to. */
export function consoleFile(guest: string): string {
  return `/var/log/libvirt/qemu/${guest}-console.log`;
}

/** An interface on a network; `inside` holds further elements, such as a VLAN. */
export function onNetwork(network: string, mac: string, inside = ''): string {
  return `<interface type='network'><mac address='${mac}'/><source network='${network}'/>${inside}</interface>`;
}

/** A VF as an interface, chosen by the guest itself. */
export function hostdevInterface(address: string, mac: string, { managed = true, inside = '' } = {}): string {
  const source = `<source>${pciElement(address, `type='pci' `)}</source>`;
  return `<interface type='hostdev' managed='${yesOrNo(managed)}'><mac address='${mac}'/>${source}${inside}</interface>`;
}

/** A PCI function that libvirt does not know as an interface. */
export function hostdev(address: string, { managed = true, inside = '' } = {}): string {
  const open = `<hostdev mode='subsystem' type='pci' managed='${yesOrNo(managed)}'>`;
  return `${open}<source>${pciElement(address)}</source>${inside}</hostdev>`;
}

/** A macvtap on a netdev. */
export function directInterface(dev: string, mode: string, mac: string, inside = ''): string {
  return `<interface type='direct'><mac address='${mac}'/><source dev='${dev}' mode='${mode}'/><model type='virtio'/>${inside}</interface>`;
}

export function vlanTag(id: number): string {
  return `<vlan><tag id='${id}'/></vlan>`;
}

/** What a network's interfaces are taken from: all VFs of a PF, certain PCI addresses, or certain netdevs. */
export type Pool =
  | { readonly pf: string }
  | { readonly addresses: readonly string[] }
  | { readonly devs: readonly string[] };

/** VFs go to guests as PCI devices. */
export function hostdevNetwork(name: string, pool: Pool, { managed = true, inside = '' } = {}): string {
  return networkXml(name, `<forward mode='hostdev' managed='${yesOrNo(managed)}'>${poolXml(pool)}</forward>${inside}`);
}

/** VFs stay the host's, and guests get macvtaps on them. */
export function passthroughNetwork(name: string, pool: Pool, inside = ''): string {
  return networkXml(name, `<forward mode='passthrough'>${poolXml(pool)}</forward>${inside}`);
}

export function networkXml(name: string, inside: string): string {
  return `<network><name>${name}</name><uuid>${uuidOf(`network ${name}`)}</uuid>${inside}</network>`;
}

/** The uuid that a guest has unless it is given one. */
export function uuidOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}

/** With KVM, which the emulated CPU offers: emulation inside emulation takes minutes for a boot. */
function guestXml(
  { name, uuid = uuidOf(name), devices = [] }: GuestOptions,
  { memoryMib, boot }: { readonly memoryMib: number; readonly boot: string },
): string {
  return `<domain type='kvm'>
  <name>${name}</name>
  <uuid>${uuid}</uuid>
  <memory unit='MiB'>${memoryMib}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>${boot}</os>
  <features><acpi/></features>
  <cpu mode='host-passthrough'/>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='pci' index='0' model='pcie-root'/>
    ${rootPorts}
    <controller type='usb' model='none'/>
    <serial type='file'><source path='${consoleFile(name)}'/></serial>
    ${devices.join('\n    ')}
    <memballoon model='none'/>
  </devices>
</domain>
`;
}

/** More than there are devices, for those that are plugged in later. */
const rootPorts = [1, 2, 3, 4, 5, 6]
  .map(index => `<controller type='pci' index='${index}' model='pcie-root-port'/>`)
  .join('\n    ');

function poolXml(pool: Pool): string {
  if ('pf' in pool) return `<pf dev='${pool.pf}'/>`;
  if ('devs' in pool) return pool.devs.map(dev => `<interface dev='${dev}'/>`).join('');
  return pool.addresses.map(address => pciElement(address, `type='pci' `)).join('');
}

function pciElement(address: string, type = ''): string {
  const [domain, bus, slot, number] = address.split(/[:.]/);
  return `<address ${type}domain='0x${domain}' bus='0x${bus}' slot='0x${slot}' function='0x${number}'/>`;
}

function yesOrNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
