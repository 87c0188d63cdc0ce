import { createHash } from 'node:crypto';
import type { HostIdentity } from './host.ts';

/** A small emulated guest around the given device elements; its uuid follows from its name. */
export function guestXml(name: string, devices: readonly string[]): string {
  return `<domain type='qemu'>
  <name>${name}</name>
  <uuid>${uuidOf(name)}</uuid>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <features><acpi/></features>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    ${devices.join('\n    ')}
    <memballoon model='none'/>
  </devices>
</domain>
`;
}

/** One `<interface>` with the given elements inside, its MAC made from a number. */
export function interfaceXml(type: string, number: number, inside = ''): string {
  const mac = `52:54:00:ac:00:${number.toString(16).padStart(2, '0')}`;
  return `<interface type='${type}'><mac address='${mac}'/>${inside}<model type='virtio'/></interface>`;
}

/** An interface on a network; `source` holds further attributes, `inside` further elements. */
export function onNetwork(network: string, number: number, { source = '', inside = '' } = {}): string {
  return interfaceXml('network', number, `<source network='${network}' ${source}/>${inside}`);
}

/** A network with a bridge of libvirt's own. */
export function ownBridgeNetwork(name: string, { bridge, inside = '' }: { bridge: string; inside?: string }): string {
  return networkXml(name, `<bridge ${bridge}/>${inside}`);
}

/** A network that is a bridge of the host. */
export function hostBridgeNetwork(name: string, bridge: string, inside = ''): string {
  return networkXml(name, `<forward mode='bridge'/><bridge name='${bridge}'/>${inside}`);
}

/** A network whose interfaces become macvtaps on `dev`. */
export function macvtapNetwork(name: string, mode: string, dev: string): string {
  return networkXml(name, `<forward mode='${mode}'><interface dev='${dev}'/></forward>`);
}

export function networkXml(name: string, inside: string): string {
  return `<network><name>${name}</name><uuid>${uuidOf(`network ${name}`)}</uuid>${inside}</network>`;
}

/** Migration goes over a link that only the two hosts have, so nothing needs to be secret. */
export function daemonConfig({ uuid, address }: HostIdentity): string {
  return `host_uuid = "${uuid}"
listen_tls = 0
listen_tcp = 1
listen_addr = "${address}"
auth_tcp = "none"
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_group = "root"
`;
}

/** QEMU as root, without what a host in namespaces does not have: security driver, cgroups, namespaces, virtlogd. */
export function qemuConfig({ address }: HostIdentity): string {
  return `user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
migration_host = "${address}"
`;
}

function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
