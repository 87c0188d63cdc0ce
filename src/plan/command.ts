import { isLinkName } from '../config/wishes.ts';
import { isPciAddress, type PciAddress } from '../model/pci-address.ts';
import { isMac } from '../model/values.ts';
import { parseDriver, parseVfRate, parseVfVlan } from '../model/vf-values.ts';
import { ActualnetError } from '../report/error.ts';
import type { Change, LinkSpec, Subject, Value, VfSetting } from './change.ts';

/**
 * The programs that set things, and `pci` for what the kernel takes through files of a PCI device; in the order in which
 * things are undone: entries go before the links that carry them, and a VF is set before its driver takes it back.
 */
export const tools = ['bridge', 'ip', 'pci'] as const;

/**
 * One line for `ip -batch` or `bridge -batch`, or `bind ADDRESS DRIVER [override DRIVER] [mac MAC]`, `unbind ADDRESS [override DRIVER]`, `numvfs PF NUMBER`,
 * `unmanaged PF on|off`.
 */
export interface Command {
  readonly tool: (typeof tools)[number];
  readonly line: string;
}

/** The command that sets a subject. Words are checked: the line is read by a program that splits at blanks. */
export function commandFor({ subject, to }: Pick<Change, 'subject' | 'to'>): Command {
  if (subject.kind === 'driver') return { tool: 'pci', line: driverLine(subject.dev, to) };
  const dev = linkName(subject.dev);
  switch (subject.kind) {
    case 'link':
      return ip(to === null ? `link delete dev ${dev}` : addLink(dev, to as LinkSpec));
    case 'up':
      return ip(`link set dev ${dev} ${to === true ? 'up' : 'down'}`);
    case 'mtu':
      return ip(`link set dev ${dev} mtu ${number(to)}`);
    case 'mac':
      return ip(`link set dev ${dev} address ${mac(String(to))}`);
    case 'master':
      return ip(to === null ? `link set dev ${dev} nomaster` : `link set dev ${dev} master ${linkName(String(to))}`);
    case 'learning':
    case 'flood':
    case 'isolated':
      return ip(`link set dev ${dev} type bridge_slave ${subject.kind} ${to === true ? 'on' : 'off'}`);
    case 'fdb':
      return bridge(fdb(subject, to));
    case 'vlan':
      return bridge(
        to === null
          ? `vlan delete dev ${dev} vid ${number(subject.id)}`
          : `vlan add dev ${dev} vid ${number(subject.id)} ${vlanFlags(to)}`.trimEnd(),
      );
    case 'vfs':
      return { tool: 'pci', line: `numvfs ${dev} ${number(to)}` };
    case 'unmanaged':
      return { tool: 'pci', line: `unmanaged ${dev} ${to === true ? 'on' : 'off'}` };
    default:
      return ip(`link set dev ${dev} vf ${number(subject.vf)} ${vfWords(subject.kind, to)}`);
  }
}

function addLink(dev: string, spec: LinkSpec): string {
  switch (spec.type) {
    case 'tap': {
      const owner = spec.owner === undefined ? '' : ` user ${userName(spec.owner)}`;
      return `tuntap add dev ${dev} mode tap${owner}${spec.multiQueue ? ' multi_queue' : ''}`;
    }
    case 'bridge':
      return `link add name ${dev} type bridge${spec.vlanFiltering ? ' vlan_filtering 1' : ''}`;
    case 'vlan':
      return `link add link ${linkName(spec.link)} name ${dev} type vlan id ${number(spec.id)}`;
  }
}

/** On a bridge a learnt entry, perhaps on another port, gives way; a device's own table takes permanent entries only. */
function fdb(subject: Subject & { kind: 'fdb' }, to: Value): string {
  const entry = `${mac(subject.mac)} dev ${linkName(subject.dev)}`;
  if (subject.table === 'self') return to === true ? `fdb add ${entry} self permanent` : `fdb delete ${entry} self`;
  return to === true ? `fdb replace ${entry} master static` : `fdb delete ${entry} master`;
}

/** `ip` sends the VLAN in the form that all drivers know unless a protocol is named. */
function vfWords(kind: VfSetting, to: Value): string {
  const word = kind.slice('vf-'.length);
  switch (kind) {
    case 'vf-mac':
      return `mac ${mac(String(to))}`;
    case 'vf-vlan': {
      const { id, qos, proto } = parseVfVlan(String(to));
      return `vlan ${number(id)}${qos === 0 ? '' : ` qos ${number(qos)}`}${proto === '802.1Q' ? '' : ` proto ${proto}`}`;
    }
    case 'vf-rate': {
      const { max, min } = parseVfRate(String(to));
      return `max_tx_rate ${number(max)} min_tx_rate ${number(min)}`;
    }
    case 'vf-state':
      if (to === 'auto' || to === 'enable' || to === 'disable') return `state ${to}`;
      throw new ActualnetError('BUG', `'${String(to)}' is not a link state`);
    default:
      return `${word} ${to === true ? 'on' : 'off'}`;
  }
}

function driverLine(address: PciAddress, to: Value): string {
  const { driver, override, mac: own } = parseDriver(to === null ? null : String(to));
  if (!isPciAddress(address)) throw new ActualnetError('BUG', `'${address}' is not a PCI address`);
  const words = [override === null ? '' : ` override ${driverName(override)}`, own === null ? '' : ` mac ${mac(own)}`];
  return driver === null ? `unbind ${address}${words[0]}` : `bind ${address} ${driverName(driver)}${words.join('')}`;
}

function driverName(name: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(name)) return name;
  throw new ActualnetError('BUG', `'${name}' is not the name of a driver`);
}

function vlanFlags(how: Value): string {
  return how === 'tagged' ? '' : String(how);
}

/** The kernel takes any name without a slash or blank; one that a batch file would read otherwise is refused. */
export function linkName(name: string): string {
  if (isLinkName(name)) return name;
  throw new ActualnetError('XML_VALUE', `'${name}' cannot be used as the name of a network device`, {
    hint: 'at most 15 letters, digits and . _ - @ + =',
  });
}

function mac(address: string): string {
  if (isMac(address)) return address;
  throw new ActualnetError('XML_VALUE', `'${address}' is not a MAC address`);
}

function userName(user: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/.test(user)) return user;
  throw new ActualnetError('CONFIG', `'${user}' is not a user name`);
}

function number(value: Value): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new ActualnetError('BUG', `'${String(value)}' is not a number a command can take`);
}

function ip(line: string): Command {
  return { tool: 'ip', line };
}

function bridge(line: string): Command {
  return { tool: 'bridge', line };
}
