import type { PciAddress } from '../model/pci-address.ts';
import type { DriverState, HostView, Needs, VfRate, VfVlan } from './host-view.ts';
import type { Settable } from './settable.ts';

/** What a link has to be made as. */
export type LinkSpec =
  | { readonly type: 'tap'; readonly owner?: string; readonly multiQueue: boolean }
  | { readonly type: 'bridge'; readonly vlanFiltering: boolean }
  | { readonly type: 'vlan'; readonly link: string; readonly id: number };

/**
 * The state of a subject; each kind says which of these are its own. `null` is "not there"; as what a VF's setting is to
 * become it is "whatever libvirt or the guest makes of it".
 */
export type Value = boolean | number | string | null | LinkSpec | VfVlan | VfRate | DriverState;

/** What every subject has: its kind, and the link or PCI device it belongs to. */
export interface AnySubject {
  readonly kind: string;
  readonly dev: string;
}

/** What a PCI device takes through files of sysfs and udev. */
export type PciAction =
  | ({ readonly do: 'bind'; readonly address: PciAddress } & DriverState)
  | { readonly do: 'make VFs'; readonly pf: string; readonly count: number }
  | { readonly do: 'leave VFs alone'; readonly pf: string; readonly on: boolean };

/**
 * One line for `ip -batch` or `bridge -batch`, or an action on a PCI device; `line` is also how a plan shows it.
 * A VF's driver may answer "busy" while it resets: such a line is run again.
 */
export type Command = { readonly tool: 'ip' | 'bridge'; readonly line: string; readonly ofVf?: boolean } | PciCommand;

export interface PciCommand {
  readonly tool: 'pci';
  readonly line: string;
  readonly action: PciAction;
}

/**
 * The programs that set things, and `pci` for what the kernel takes through files of a PCI device; in the order in which
 * things are undone: entries go before the links that carry them, and a VF is set before its driver takes it back.
 */
export const tools = ['bridge', 'ip', 'pci'] as const;
export type Tool = (typeof tools)[number];

/** Where a change stands when those before it have been carried out. */
export interface Place {
  readonly host: HostView;
  /** The bridge that its device is, or is by then, a port of. */
  readonly bridge: string | undefined;
}

/**
 * Everything there is to know of one kind of kernel object: `S` says which one it is, `V` what it can be. What a kind does
 * not mention is not so: it is never blocked, needs no table, and is equal when it is identical.
 */
export interface Kind<S extends AnySubject, V extends Value> {
  /** Goes away with its link; comes with its place in a bridge; or belongs to a card, and stays when links come and go. */
  readonly belongsTo: 'link' | 'port' | 'card';
  /** Which connections of a guest it can be set for at all; absent for what is not set for a connection. */
  readonly settable?: Settable;

  /** What tells it from others of its kind on the same device. */
  detail?(subject: S): string;
  /** Under which name it is locked when guests share it; else its device, so that guests do not wait for each other. */
  sharedName?(subject: S): string;
  /** Whether a stored subject has what it needs besides kind and device. */
  isSound?(subject: Readonly<Record<string, unknown>>): boolean;
  /** A stored value; undefined if it is none. Also reads how earlier versions wrote it. */
  read(stored: unknown): V | null | undefined;

  /** `tap0 into bridge br0`, as a plan prints it. */
  describe(subject: S, to: V | null): string;
  /** The same as what was to be done, behind "cannot": `put tap0 into bridge br0`. */
  describeDoing(subject: S, to: V | null): string;
  /** The value alone: `on`, `42 qos 5`. */
  describeValue?(value: V): string;

  /** What has to be read besides links and PCI devices, which are always at hand. */
  needs?(subject: S): Needs;
  /** The present value; undefined when the device it belongs to is not there, or cannot have it. */
  observe(subject: S, host: HostView): V | null | undefined;
  /** Why nothing can be observed, where the device is there. */
  describeMissing?(subject: S): string;
  /** What the kernel does not tell (observed as null) counts as set. */
  readonly mayBeUntold?: boolean;
  /** Without a value from before there is something to go back to: nothing. A link always has an MTU, a port may be in no bridge. */
  readonly mayBeNone?: boolean;

  isEqual?(one: V | null, other: V | null): boolean;
  /** Whether what is observed will do; by default if it is equal. */
  isSatisfied?(to: V | null, observed: V | null | undefined, shared: boolean): boolean;
  /** The command that sets it. Throws for a word that a batch line must not hold. */
  command(subject: S, to: V | null): Command;

  /** The kind that must have been set on the same device: without it this one would do harm. */
  readonly standsOn?: string;
  /** Why it must not be set, although its device is there. */
  conflict?(subject: S, to: V | null, place: Place): string | undefined;
  /** Why it is left as it is for now, which is told and no more. */
  deferral?(subject: S, to: V | null, observed: V | null | undefined, host: HostView): string | undefined;
  /** Who would lose something if it were put back now; `isGoing` tells the links that go away with it. */
  blocker?(subject: S, observed: V | null, host: HostView, isGoing: (dev: string) => boolean): string | undefined;
  /** What has not come to its end, and is ours although it is not what we wanted. */
  isHalfDone?(observed: V | null, to: V | null): boolean;
  /** libvirt puts it back otherwise than it was, so that what is there now proves nothing. */
  readonly isPutBackByLibvirt?: boolean;
  /** Another value that will do where the kernel refused `to` with that message. */
  substitute?(subject: S, to: V | null, message: string, host: HostView): V | undefined;
}
