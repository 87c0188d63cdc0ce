import type { PciAddress } from '../model/pci-address.ts';

/** One thing of the host that can be observed and set. */
export type Subject =
  | { readonly kind: 'link'; readonly dev: string }
  | { readonly kind: 'up' | 'mtu' | 'mac' | 'master'; readonly dev: string }
  | { readonly kind: PortFlag; readonly dev: string }
  | { readonly kind: 'fdb'; readonly dev: string; readonly mac: string; readonly table: 'bridge' | 'self' }
  | { readonly kind: 'vlan'; readonly dev: string; readonly id: number }
  | { readonly kind: VfSetting; readonly dev: string; readonly vf: number }
  | { readonly kind: 'vfs' | 'unmanaged'; readonly dev: string }
  | { readonly kind: 'driver'; readonly dev: PciAddress };

/** Flags of a bridge port, in iproute2's words. */
export const portFlags = ['learning', 'flood', 'isolated'] as const;
export type PortFlag = (typeof portFlags)[number];

/**
 * What a PF holds for each of its VFs, in the order in which drivers take them: trust lets a VF have its MAC, a link that
 * is up comes last. `vf-vlan` is `none` or `ID [qos PRIORITY] [proto PROTOCOL]`, `vf-rate` is `max MBPS min MBPS`.
 */
export const vfSettings = [
  'vf-trust',
  'vf-mac',
  'vf-vlan',
  'vf-spoofchk',
  'vf-query_rss',
  'vf-rate',
  'vf-state',
] as const;
export type VfSetting = (typeof vfSettings)[number];

/** What a link has to be made as. */
export type LinkSpec =
  | { readonly type: 'tap'; readonly owner?: string; readonly multiQueue: boolean }
  | { readonly type: 'bridge'; readonly vlanFiltering: boolean }
  | { readonly type: 'vlan'; readonly link: string; readonly id: number };

/**
 * The state of a subject: for a link its spec (observed: whatever it is, as its index), for `master` a bridge's name,
 * for `vlan` how the port carries it, for `vfs` how many there are, for `driver` its name and, if it has one, the override
 * (`vfio-pci override vfio-pci`). `null` is "not there"; as what a VF's setting is to become it is "whatever libvirt or the
 * guest makes of it".
 */
export type Value = boolean | number | string | null | LinkSpec;

/** A subject and what it is to become. */
export interface Change {
  readonly subject: Subject;
  readonly to: Value;
  /** What it is for, as shown to an administrator. */
  readonly why: string;
  /** Other guests may need the same: it stays until the last one has gone. */
  readonly shared?: boolean;
  /** libvirt (for a VF's MAC also the guest) does it a moment later; only the state before is kept, to be restored in the end. */
  readonly byLibvirt?: boolean;
  /** If it is refused, that is told and nothing more. */
  readonly optional?: boolean;
  /** Opens the guest to the network: taken back as soon as its CPUs stop. */
  readonly reach?: boolean;
}

/** A text that is equal for equal subjects. */
export function keyOf(subject: Subject): string {
  const detail =
    'mac' in subject
      ? ` ${subject.table} ${subject.mac}`
      : 'id' in subject
        ? ` ${subject.id}`
        : 'vf' in subject
          ? ` ${subject.vf}`
          : '';
  return `${subject.kind} ${subject.dev}${detail}`;
}

/** What is locked and has a ledger of its own when it is shared: a device, or one VF of a card, so that guests do not wait for each other. */
export function sharedNameOf(subject: Subject): string {
  return isVfSubject(subject) ? `${subject.dev} vf ${subject.vf}` : subject.dev;
}

/** `tap0: master br0`, as a plan prints it. */
export function describeChange({ subject, to }: Pick<Change, 'subject' | 'to'>): string {
  const { dev } = subject;
  switch (subject.kind) {
    case 'link':
      return to === null ? `remove ${dev}` : `make ${typeof to === 'object' ? to.type : 'link'} ${dev}`;
    case 'up':
      return `${dev} ${to === true ? 'up' : 'down'}`;
    case 'mtu':
    case 'mac':
      return `${dev} ${subject.kind} ${to}`;
    case 'master':
      return to === null ? `${dev} out of its bridge` : `${dev} into bridge ${to}`;
    case 'learning':
    case 'flood':
    case 'isolated':
      return `${dev} ${subject.kind} ${to === true ? 'on' : 'off'}`;
    case 'fdb':
      return `${to === true ? 'add' : 'remove'} ${subject.mac} ${subject.table === 'self' ? 'in the table of' : 'on'} ${dev}`;
    case 'vlan':
      return to === null ? `${dev} without vlan ${subject.id}` : `${dev} vlan ${subject.id} ${to}`;
    case 'vfs':
      return `${to} VFs on ${dev}`;
    case 'unmanaged':
      return `network managers ${to === true ? 'leave' : 'may have'} the VFs of ${dev}${to === true ? ' alone' : ''}`;
    case 'driver':
      return `${dev} ${to === null ? 'without a driver' : `on driver ${to}`}`;
    default:
      return `VF ${subject.vf} of ${dev}: ${subject.kind.slice('vf-'.length)} ${describeVfValue(to)}`;
  }
}

/** The same as what was to be done, behind "cannot": `put tap0 into bridge br0`, `set VF 0 of ens1f0: spoofchk off`. */
export function describeDoing(change: Pick<Change, 'subject' | 'to'>): string {
  const { subject, to } = change;
  const what = describeChange(change);
  switch (subject.kind) {
    case 'link':
    case 'fdb':
      return what;
    case 'up':
      return to === true ? `bring ${subject.dev} up` : `take ${subject.dev} down`;
    case 'master':
      return `${to === null ? 'take' : 'put'} ${what}`;
    case 'learning':
    case 'flood':
    case 'isolated':
      return `switch ${what}`;
    case 'vlan':
      return to === null ? `take vlan ${subject.id} from ${subject.dev}` : `give ${what}`;
    case 'vfs':
      return `make ${what}`;
    case 'unmanaged':
      return `tell ${what.replace(' leave ', ' to leave ').replace(' may have ', ' they may have ')}`;
    case 'driver':
      return to === null ? `take ${subject.dev} from its driver` : `bind ${subject.dev} to driver ${to}`;
    default:
      return `set ${what}`;
  }
}

/** Whether a subject is one of the settings that a PF holds for a VF. */
export function isVfSubject(subject: Subject): subject is Subject & { readonly kind: VfSetting } {
  return 'vf' in subject;
}

/** Whether a subject belongs to a card or a PCI device rather than to a link. */
export function isCardSubject(subject: Subject): boolean {
  return isVfSubject(subject) || ['vfs', 'unmanaged', 'driver'].includes(subject.kind);
}

/** `on`, `off`, or the value itself. */
export function describeVfValue(to: Value): string {
  if (to === null) return 'kept for the end';
  return typeof to === 'boolean' ? (to ? 'on' : 'off') : String(to);
}
