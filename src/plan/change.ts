import { unreachable } from '../report/error.ts';

/** One thing of the host that can be observed and set. */
export type Subject =
  | { readonly kind: 'link'; readonly dev: string }
  | { readonly kind: 'up' | 'mtu' | 'mac' | 'master'; readonly dev: string }
  | { readonly kind: PortFlag; readonly dev: string }
  | { readonly kind: 'fdb'; readonly dev: string; readonly mac: string; readonly table: 'bridge' | 'self' }
  | { readonly kind: 'vlan'; readonly dev: string; readonly id: number };

/** Flags of a bridge port, in iproute2's words. */
export const portFlags = ['learning', 'flood', 'isolated'] as const;
export type PortFlag = (typeof portFlags)[number];

/** What a link has to be made as. */
export type LinkSpec =
  | { readonly type: 'tap'; readonly owner?: string; readonly multiQueue: boolean }
  | { readonly type: 'bridge'; readonly vlanFiltering: boolean }
  | { readonly type: 'vlan'; readonly link: string; readonly id: number };

/**
 * The state of a subject: for a link its spec (observed: whatever it is, as its index), for `master` a bridge's name,
 * for `vlan` how the port carries it. `null` is "not there".
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
  /** libvirt does it itself a moment later; only the state before is kept, to be restored in the end. */
  readonly byLibvirt?: boolean;
  /** Opens the guest to the network: taken back as soon as its CPUs stop. */
  readonly reach?: boolean;
}

/** A text that is equal for equal subjects. */
export function keyOf(subject: Subject): string {
  const detail = 'mac' in subject ? ` ${subject.table} ${subject.mac}` : 'id' in subject ? ` ${subject.id}` : '';
  return `${subject.kind} ${subject.dev}${detail}`;
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
    default:
      return unreachable(subject);
  }
}
