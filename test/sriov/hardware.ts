import path from 'node:path';
import type { Image } from './image.ts';
import { machineMemoryMib } from './prerequisites.ts';

/** Files of one boot. */
export interface BootFiles {
  readonly directory: string;
  /** The guest agent's end outside. */
  readonly agent: string;
  readonly console: string;
  /** A tar file, which is a disk inside. */
  readonly checkout: string;
}

/** Where the checkout's tar file is inside. */
export const checkoutDisk = '/dev/disk/by-id/virtio-checkout';

/** The MAC addresses of the PFs. */
export const cardMacs = ['52:54:00:bb:00:01', '52:54:00:bb:00:02'] as const;

const kernelArguments = [
  'root=LABEL=actualnet rw console=ttyS0 panic=-1 quiet',
  // VFIO wants the IOMMU on; the host's own devices may pass it by.
  'intel_iommu=on iommu=pt',
  // Emulation pays for each of these, and gains nothing.
  'mitigations=off nokaslr audit=0 apparmor=0 systemd.show_status=0',
];

/** The command that runs the machine, QEMU being the image's own with the image's own libraries. */
export function machineCommand({ root, disk, kernel, initrd }: Image, files: BootFiles): string[] {
  const libraries = path.join(root, 'usr/lib/x86_64-linux-gnu');
  return [
    // The machine must not outlive the tests, however they end.
    ...['setpriv', '--pdeathsig', 'KILL'],
    ...['env', `QEMU_MODULE_DIR=${libraries}/qemu`, `TMPDIR=${files.directory}`],
    ...[path.join(root, 'lib64/ld-linux-x86-64.so.2'), '--library-path', libraries],
    path.join(root, 'usr/bin/qemu-system-x86_64'),
    ...['-L', path.join(root, 'usr/share/qemu'), '-L', path.join(root, 'usr/share/seabios')],
    ...['-nodefaults', '-display', 'none', '-no-reboot', '-serial', `file:${files.console}`],
    // Emulation of the CPU everywhere, so that the tests see the same machine everywhere.
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', `${machineMemoryMib}`],
    ...['-device', 'intel-iommu,intremap=on,device-iotlb=on', '-device', 'virtio-rng-pci'],
    ...['-kernel', kernel, '-initrd', initrd, '-append', kernelArguments.join(' ')],
    ...['-drive', `file=${disk},format=raw,if=none,id=system,snapshot=on,cache=unsafe`],
    ...['-device', 'virtio-blk-pci,drive=system'],
    ...['-drive', `file=${files.checkout},format=raw,if=none,id=checkout,readonly=on`],
    ...['-device', 'virtio-blk-pci,drive=checkout,serial=checkout'],
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=agent,path=${files.agent},server=on,wait=off`],
    ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
    ...cardMacs.flatMap(card),
  ];
}

/** Behind a root port of its own, each function gets an IOMMU group of its own; the hub is the wire between the cards. */
function card(mac: string, index: number): string[] {
  return [
    ...['-device', `pcie-root-port,id=port${index},chassis=${index + 1},slot=${index + 1}`],
    ...['-netdev', `hubport,id=wire${index},hubid=0`],
    // No boot ROM: nothing boots from the network.
    ...['-device', `igb,bus=port${index},netdev=wire${index},mac=${mac},romfile=`],
  ];
}
