import path from 'node:path';

/** Every place outside the program that actualnet reads or writes. */
export interface HostPaths {
  /** What all the others are below. */
  readonly root: string;
  /** The administrator's: what actualnet is to do. Read only. */
  readonly config: string;
  /** Ours: what the hooks remember, until the next boot. */
  readonly state: string;
  /** Ours: what outlives the next boot. */
  readonly lasting: string;
  /** Ours: the log file. */
  readonly log: string;
  /** Ours: what has happened, as JSON lines; older pieces are beside it. */
  readonly history: string;
  /** libvirt's: the executables that it calls. Ours are among them. */
  readonly hooks: string;
  /** libvirt's: run-time network status and ports. Read only. */
  readonly libvirtNetworkStatus: string;
  /** libvirt's: network definitions. Read only. */
  readonly libvirtNetworkConfig: string;
  /** libvirt's: guest definitions. Read only. */
  readonly libvirtGuestConfig: string;
  /** The kernel's view of links. Read only. */
  readonly sys: string;
  /** The kernel's view of processes. Read only. */
  readonly proc: string;
  /** Where udev finds rules that last until the next boot; ours are named after us. */
  readonly udevRules: string;
  /** libvirt's: settings of its QEMU driver. Read only. */
  readonly libvirtQemuConfig: string;
  /** libvirt's: status of running guests. Read only. */
  readonly libvirtGuestStatus: string;
  /** libvirt's: what it has put aside of VFs that guests have. Read only. */
  readonly libvirtHostdevState: string;
  /** Where the dynamic linker finds libvirt; its file name tells the version. */
  readonly libraries: string;
}

/** The usual places, all below `root`: `/` on a host, a private directory in tests and the demo (`ACTUALNET_ROOT`). */
export function hostPaths(root: string): HostPaths {
  return {
    root,
    config: path.join(root, 'etc/actualnet'),
    state: path.join(root, 'run/actualnet'),
    lasting: path.join(root, 'var/lib/actualnet'),
    log: path.join(root, 'var/log/actualnet.log'),
    history: path.join(root, 'var/log/actualnet-history.jsonl'),
    hooks: path.join(root, 'etc/libvirt/hooks'),
    libvirtNetworkStatus: path.join(root, 'run/libvirt/network'),
    libvirtNetworkConfig: path.join(root, 'etc/libvirt/qemu/networks'),
    libvirtGuestConfig: path.join(root, 'etc/libvirt/qemu'),
    sys: path.join(root, 'sys'),
    proc: path.join(root, 'proc'),
    udevRules: path.join(root, 'run/udev/rules.d'),
    libvirtQemuConfig: path.join(root, 'etc/libvirt/qemu.conf'),
    libvirtGuestStatus: path.join(root, 'run/libvirt/qemu'),
    libvirtHostdevState: path.join(root, 'run/libvirt/hostdevmgr'),
    libraries: path.join(root, 'usr'),
  };
}
