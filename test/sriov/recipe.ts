/** What the machine's disk holds besides Debian's minimal system. The image is built anew when anything here changes. */
export const recipe = {
  /** Installed by debootstrap. It would configure the rest in an order that polkitd does not stand. */
  base: ['systemd-sysv', 'udev', 'dbus'],
  packages: [
    // QEMU serves twice: for the guests inside, and outside to run the machine.
    ...['qemu-system-x86', 'libvirt-daemon-system', 'libvirt-clients', 'dnsmasq-base', 'nftables', 'iptables'],
    ...['linux-image-amd64', 'nodejs', 'qemu-guest-agent'],
    ...['bpftool', 'iproute2', 'iputils-ping', 'pciutils', 'kmod', 'procps', 'tcpdump'],
    // What the small operating system of guests is put together with.
    ...['busybox-static', 'xz-utils', 'cpio'],
  ],
  /** Written before the packages come. */
  early: {
    // Nothing starts in a chroot.
    'usr/sbin/policy-rc.d': '#!/bin/sh\nexit 101\n',
    // A crash costs a build, so there is no reason to wait for disks; nor are there readers for manuals.
    'etc/dpkg/dpkg.cfg.d/throw-away':
      'force-unsafe-io\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\npath-exclude=/usr/share/doc/*\n',
    // Enough to mount the root disk: emulation takes its time with every megabyte of an initrd.
    'etc/initramfs-tools/conf.d/small': 'MODULES=list\nCOMPRESS=gzip\n',
    'etc/initramfs-tools/modules': 'virtio_pci\nvirtio_blk\next4\n',
  },
  /** Written when they are there. */
  late: {
    'etc/hostname': 'actualnet\n',
    'etc/hosts': '127.0.0.1 localhost actualnet\n::1 localhost\n',
    'etc/resolv.conf': '',
    'etc/fstab': 'LABEL=actualnet / ext4 rw,noatime 0 0\n',
    // Without one, systemd takes the boot for the first and asks questions.
    'etc/machine-id': '6163747561746e657400000000000001\n',
    // Here before libvirt asks what QEMU can do with KVM, and before the state of the cards is looked at for the first time.
    'etc/modules-load.d/machine.conf': 'kvm_amd\nigb\nvfio-pci\n',
    'etc/systemd/journald.conf.d/volatile.conf': '[Journal]\nStorage=volatile\n',
    // Addresses that come up by themselves would make equal states look different.
    'etc/sysctl.d/90-no-ipv6.conf': 'net.ipv6.conf.all.disable_ipv6 = 1\nnet.ipv6.conf.default.disable_ipv6 = 1\n',
  },
  /** Gone when they are there: the way to this machine's mirror, and a network that libvirt would start. */
  removed: [
    'usr/sbin/policy-rc.d',
    'etc/apt/apt.conf.d/90-mirror',
    'etc/apt/sources.list',
    'var/lib/apt/lists',
    'var/cache/apt',
    'etc/libvirt/qemu/networks/autostart',
  ],
  /** Units that only cost time here, or would end in the middle of a test. */
  masked: [
    ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_all.timer', 'fstrim.timer'],
    ...['e2scrub_reap.service', 'systemd-timesyncd.service', 'systemd-pstore.service', 'libvirt-guests.service'],
    ...['ldconfig.service', 'systemd-journal-catalog-update.service'],
    ...['getty@tty1.service', 'serial-getty@ttyS0.service', 'console-getty.service'],
  ],
} as const;
