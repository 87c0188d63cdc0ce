import { ip, type World } from './world.ts';

export const guestUuid = '0b0e1f52-0000-4000-8000-0000000000aa';

/** The guest's MAC with that last digit. */
export const mac = (last: number) => `52:54:00:00:00:0${last}`;

/** A connection of the test guest: its XML at prepare and at start, and what libvirt does for it in between. */
export interface Connection {
  readonly name: string;
  readonly mac: string;
  readonly prepare: string;
  readonly start: string;
  /** Before `start`. */
  readonly make?: () => void;
  /** Between `start` and `started`, when the CPUs are started. */
  readonly open?: () => void;
  /** With QEMU's end, before `stopped`. */
  readonly vanish?: () => void;
  /** Between `stopped` and `release`. */
  readonly remove?: () => void;
}

export function plainBridge(mac: string, bridge: string, tap: string): Connection {
  const xml = (target: string) =>
    `<interface type='bridge'><mac address='${mac}'/><source bridge='${bridge}'/>${target}<model type='virtio'/></interface>`;
  return {
    name: `bridge ${bridge}`,
    mac,
    prepare: xml(''),
    start: xml(`<target dev='${tap}'/>`),
    make: () => makeTap(tap, mac, bridge),
    vanish: () => ip('link', 'del', tap),
  };
}

export function unmanagedTap(mac: string, tap: string): Connection {
  const xml = `<interface type='ethernet'><mac address='${mac}'/><target dev='${tap}' managed='no'/><model type='virtio'/></interface>`;
  return { name: `tap ${tap}`, mac, prepare: xml, start: xml };
}

export function macvtap(
  mac: string,
  physdev: string,
  mode: 'bridge' | 'vepa' | 'private' | 'passthrough',
  dev = 'macvtap0',
): Connection {
  const xml = (target: string) =>
    `<interface type='direct'><mac address='${mac}'/><source dev='${physdev}' mode='${mode}'/>${target}</interface>`;
  const kernelMode = mode === 'passthrough' ? 'passthru' : mode;
  return {
    name: `macvtap ${mode} on ${physdev}`,
    mac,
    prepare: xml(''),
    start: xml(`<target dev='${dev}'/>`),
    make: () =>
      ip(
        'link',
        'add',
        'link',
        physdev,
        'name',
        dev,
        ...(mode === 'passthrough' ? [] : ['address', mac]),
        'type',
        'macvtap',
        'mode',
        kernelMode,
      ),
    open: () => {
      ip('link', 'set', physdev, 'up');
      ip('link', 'set', dev, 'up');
    },
    remove: () => ip('link', 'del', dev),
  };
}

/** A guest with these connections, and perhaps a tap of its own command line. */
export function guest(
  connections: readonly Connection[],
  form: 'prepare' | 'start',
  extra: { tap?: string; metadata?: string } = {},
): string {
  const tap = extra.tap ? commandLine(extra.tap) : '';
  return `<domain type='qemu' id='1' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>g1</name>
  <uuid>${guestUuid}</uuid>
  <metadata>${extra.metadata ?? ''}</metadata>
  <devices>${connections.map(connection => connection[form]).join('\n')}</devices>${tap}
</domain>`;
}

export const commandLineMac = '52:54:00:00:00:09';

function commandLine(tap: string): string {
  const words = [
    '-netdev',
    `tap,id=x0,ifname=${tap},script=no,downscript=no,queues=2`,
    '-device',
    `virtio-net-pci,netdev=x0,mac=${commandLineMac}`,
  ];
  return `<qemu:commandline>${words.map(word => `<qemu:arg value='${word}'/>`).join('')}</qemu:commandline>`;
}

/** A tap as libvirt makes it, up and in its bridge. */
export function makeTap(tap: string, mac: string, bridge: string): void {
  ip('tuntap', 'add', 'dev', tap, 'mode', 'tap');
  ip('link', 'set', tap, 'address', `fe${mac.slice(2)}`);
  ip('link', 'set', tap, 'master', bridge, 'up');
}

/** Two bridges, `br0` with an uplink, and a physical device each for up and down, and others that are down. */
export function makeHost(...others: readonly string[]): void {
  for (const bridge of ['br0', 'br1']) {
    // With an address of its own, which does not follow its ports.
    ip(
      'link',
      'add',
      bridge,
      'address',
      bridge === 'br0' ? '02:00:00:00:00:b0' : '02:00:00:00:00:b1',
      'type',
      'bridge',
    );
    ip('link', 'set', bridge, 'up');
  }
  for (const [dev, state] of [
    ['up0', 'up'],
    ['eth7', 'down'],
    ['eth8', 'up'],
    ...others.map(dev => [dev, 'down'] as const),
  ] as const) {
    // Lower than a tap's, so that it gives its bridge the address, as a real card's does.
    ip('link', 'add', dev, 'address', `02:00:00:00:01:0${dev.at(-1)}`, 'type', 'veth', 'peer', 'name', `${dev}p`);
    ip('link', 'set', `${dev}p`, 'up');
    ip('link', 'set', dev, state);
  }
  ip('link', 'set', 'up0', 'master', 'br0');
}

/** Takes a guest as far as its CPUs run, with what libvirt does in between. */
export async function startGuest(
  world: World,
  connections: readonly Connection[],
  change: (xml: string) => string = xml => xml,
): Promise<{ prepare: string; start: string }> {
  const [prepare, start] = [change(guest(connections, 'prepare')), change(guest(connections, 'start'))];
  await world.qemu('prepare', prepare);
  for (const { make } of connections) make?.();
  await world.qemu('start', start);
  for (const { open } of connections) open?.();
  await world.qemu('started', start);
  return { prepare, start };
}
