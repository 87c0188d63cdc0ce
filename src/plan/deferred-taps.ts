import type { CommandLine, CommandLineObject } from '../model/command-line.ts';

/**
 * Why QEMU would open a tap of its command line as soon as it starts, even if it waits for a migration; undefined for one
 * that can wait until the migration is about to be served. The rules are those of QEMU's deferred tap set-up (v6 of the
 * proposal), in its order; `vhostfd` counts as `vhostfds` does.
 */
export function whyAtOnce(netdev: CommandLineObject, { devices }: CommandLine, incoming: boolean): string | undefined {
  const { options, id } = netdev;
  const isOff = (script: string | undefined) => script === '' || script === 'no';
  const given = ['fd', 'fds', 'helper', 'vhostfd', 'vhostfds'].find(option => options.has(option));
  const ifname = options.get('ifname') ?? '';
  const consumer = devices.find(({ options: of }) => of.get('netdev') === id);
  if (!incoming) return 'the guest does not come from elsewhere';
  if (given !== undefined) return `it is given with '${given}'`;
  if (ifname === '' || ifname.includes('%d')) return 'its name is not fixed';
  for (const script of ['script', 'downscript']) if (!isOff(options.get(script))) return `'${script}' is not off`;
  if (consumer === undefined || !/^virtio-net(-|$)/.test(consumer.kind)) return 'its card is no virtio-net';
  return undefined;
}
