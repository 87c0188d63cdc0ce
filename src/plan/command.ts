import { isLinkName } from '../config/wishes.ts';
import { ActualnetError } from '../report/error.ts';
import type { Change, LinkSpec, Subject, Value } from './change.ts';

/** One line for `ip -batch` or `bridge -batch`. */
export interface Command {
  readonly tool: 'ip' | 'bridge';
  readonly line: string;
}

/** The command that sets a subject. Words are checked: the line is read by a program that splits at blanks. */
export function commandFor({ subject, to }: Pick<Change, 'subject' | 'to'>): Command {
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
  if (/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(address)) return address;
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
