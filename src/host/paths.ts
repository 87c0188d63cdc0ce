import path from 'node:path';

/** Every place outside the program that actualnet reads or writes. */
export interface HostPaths {
  /** Ours: what the hooks remember, until the next boot. */
  readonly state: string;
  /** Ours: the log file. */
  readonly log: string;
  /** libvirt's: run-time network status and ports. Read only. */
  readonly libvirtNetworkStatus: string;
  /** libvirt's: network definitions. Read only. */
  readonly libvirtNetworkConfig: string;
  /** Where the dynamic linker finds libvirt; its file name tells the version. */
  readonly libraries: string;
}

/** The usual places, all below `root`: `/` on a host, a private directory in tests and the demo (`ACTUALNET_ROOT`). */
export function hostPaths(root: string): HostPaths {
  return {
    state: path.join(root, 'run/actualnet'),
    log: path.join(root, 'var/log/actualnet.log'),
    libvirtNetworkStatus: path.join(root, 'run/libvirt/network'),
    libvirtNetworkConfig: path.join(root, 'etc/libvirt/qemu/networks'),
    libraries: path.join(root, 'usr'),
  };
}
