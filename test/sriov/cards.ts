import type { Machine } from './machine.ts';

/** The PFs inside; a wire joins them. Each can have seven VFs. */
export const cards = ['enp1s0', 'enp2s0'] as const;
export type Card = (typeof cards)[number];

/** What `ip -j -d link show` says of a VF. */
interface VfInfo {
  readonly vf: number;
  readonly address: string;
  readonly vlan_list?: readonly { readonly vlan?: number; readonly qos?: number; readonly protocol?: string }[];
  readonly rate?: { readonly max_tx: number; readonly min_tx: number };
  readonly spoofchk?: boolean;
  readonly trust?: boolean;
  readonly link_state?: string;
}

interface LinkInfo {
  readonly ifname: string;
  readonly address: string;
  readonly flags: readonly string[];
  readonly vfinfo_list?: readonly VfInfo[];
}

/** What sysfs says of it. */
interface VfDevice {
  readonly card: string;
  readonly vf: number;
  readonly address: string;
  readonly driver: string;
  readonly driverOverride: string;
  readonly netdev: string;
}

/**
 * Gives a card this many VFs instead of those it may have, up and with the MACs of `vfMac`. They get them before their driver comes, so that it takes them
 * over: of a VF with a random MAC, libvirt leaves another one behind than it found.
 */
export async function makeVfs(machine: Machine, card: Card, count: number): Promise<void> {
  const numbers = Array.from({ length: count }, (_, vf) => vf);
  await machine.sh(`
    set -e
    device=/sys/class/net/${card}/device
    ip link set ${card} up
    [ ! -e $device/virtfn0 ] || echo 0 >$device/sriov_numvfs
    echo 0 >$device/sriov_drivers_autoprobe
    echo ${count} >$device/sriov_numvfs
    echo 1 >$device/sriov_drivers_autoprobe
    ${numbers.map(vf => `ip link set ${card} vf ${vf} mac ${vfMac(card, vf)}`).join('\n')}
    # A PF that is still being reset gives its VFs no MAC, and they take one by chance.
    sleep 3
    for vf in $device/virtfn*; do basename $(readlink $vf) >/sys/bus/pci/drivers_probe; done
    udevadm settle`);
}

/** Not while a guest has one of them: if it does not let go of it, this waits in the kernel and cannot be killed. */
export async function removeVfs(machine: Machine, card: Card): Promise<void> {
  await machine.sh(`echo 0 >/sys/class/net/${card}/device/sriov_numvfs && udevadm settle`);
}

/** A tagged link on the other card, with an address for guests to reach; `removeWire` takes it away. */
export async function makeWire(machine: Machine, card: Card, { vlan, address }: { vlan: number; address: string }) {
  await machine.sh(`
    set -e
    ip link set ${card} up
    ip link add link ${card} name wire${vlan} type vlan id ${vlan}
    ip address add ${address}/24 dev wire${vlan}
    ip link set wire${vlan} up`);
}

export async function removeWire(machine: Machine, card: Card, vlan: number): Promise<void> {
  await machine.sh(`ip link delete wire${vlan}; ip link set ${card} down`);
}

/** The MAC that a VF has from `makeVfs`. */
export function vfMac(card: Card, vf: number): string {
  return `52:54:00:0f:0${cards.indexOf(card) + 1}:0${vf}`;
}

/** The PCI address of a VF, such as 0000:01:10.2. */
export function vfAddress(machine: Machine, card: Card, vf: number): Promise<string> {
  return machine.sh(`basename "$(readlink /sys/class/net/${card}/device/virtfn${vf})"`);
}

/** All that matters of the cards, a line for each thing: equal text for equal state. */
export async function cardState(machine: Machine): Promise<string[]> {
  const [links, ...lines] = (await machine.sh(look)).split('\n') as [string, ...string[]];
  const byName = new Map((JSON.parse(links) as LinkInfo[]).map(link => [link.ifname, link]));
  const devices = lines.filter(line => line.startsWith('device ')).map(parseDevice);
  const others = lines.filter(line => !line.startsWith('device '));
  return [
    ...cards.map(card => {
      const count = devices.filter(device => device.card === card).length;
      return describePf(card, byName.get(card), count);
    }),
    ...devices.map(device => describeVf(device, byName)),
    ...others,
  ].sort();
}

/**
 * Not sriov_numvfs: a reader may wait for a writer that waits for a guest, and cannot be killed. driver_override waits likewise
 * while a driver is being bound, so only a process that nobody waits for reads it.
 */
const look = `
  ip -j -d link show
  name() { [ -e "$1" ] && basename "$(readlink "$1")" || echo -; }
  for card in ${cards.join(' ')}; do
    for vf in /sys/class/net/$card/device/virtfn*; do
      [ -e "$vf" ] || continue
      read -r -t 10 override < <(exec cat "$vf/driver_override" 2>/dev/null) || override=unreadable
      netdev=$(ls "$vf/net" 2>/dev/null)
      echo "device $card \${vf##*virtfn} $(name "$vf") $(name "$vf/driver") \${override:--} \${netdev:--}"
    done
  done
  for file in /dev/vfio/* /run/libvirt/hostdevmgr/*; do [ ! -e "$file" ] || echo "$file"; done
`;

function parseDevice(line: string): VfDevice {
  const [, card, vf, address, driver, driverOverride, netdev] = line.split(' ') as [string, ...string[]];
  return { card, vf: Number(vf), address, driver, driverOverride, netdev } as VfDevice;
}

function describePf(card: string, link: LinkInfo | undefined, vfs: number): string {
  return `${card} ${link?.address ?? 'missing'} ${upOrDown(link)} vfs ${vfs}`;
}

function describeVf(device: VfDevice, links: ReadonlyMap<string, LinkInfo>): string {
  const set = links.get(device.card)?.vfinfo_list?.find(({ vf }) => vf === device.vf);
  const netdev = links.get(device.netdev);
  const words = {
    mac: set?.address,
    ...describeVlan(set),
    trust: onOrOff(set?.trust),
    spoofchk: onOrOff(set?.spoofchk),
    link: set?.link_state,
    max: set?.rate?.max_tx,
    min: set?.rate?.min_tx,
    driver: device.driver,
    override: device.driverOverride,
    netdev: netdev === undefined ? device.netdev : `${device.netdev} ${netdev.address} ${upOrDown(netdev)}`,
  };
  const text = Object.entries(words).map(([word, value]) => `${word} ${value ?? '-'}`);
  return `${device.card} vf ${device.vf} ${device.address} ${text.join(' ')}`;
}

/** iproute2 leaves out what is zero, and the protocol if it is 802.1Q. */
function describeVlan(set: VfInfo | undefined): Record<string, string | number> {
  const [{ vlan = 0, qos = 0, protocol = '802.1Q' } = {}] = set?.vlan_list ?? [];
  return vlan === 0 && qos === 0 ? { vlan: 0 } : { vlan, qos, proto: protocol };
}

function onOrOff(value: boolean | undefined): string | undefined {
  return value === undefined ? undefined : value ? 'on' : 'off';
}

function upOrDown(link: LinkInfo | undefined): string {
  return link?.flags.includes('UP') ? 'up' : 'down';
}
