import type { ErrorCode } from '../report/error.ts';

/**
 * What a connection is on the host, as far as settings go. A `foreign port` is plugged into something that is no Linux
 * bridge; a `backend` has no device on the host that we know; `unknown` is told apart later.
 */
export const deviceKinds = [
  'bridge port',
  'foreign port',
  'loose tap',
  'macvtap',
  'macvtap on a VF',
  'VF',
  'PCI device',
  'backend',
  'unknown',
] as const;
export type DeviceKind = (typeof deviceKinds)[number];

/** Why a setting cannot be had. */
export interface Refusal {
  readonly why: string;
  readonly hint?: string;
  readonly code?: ErrorCode;
}

/** For each kind of device: that it can be set, or why it never can. */
export type Settable = Readonly<Record<DeviceKind, 'set' | Refusal>>;

/** A refusal, with what the administrator can do instead. */
export function refuse(why: string, hint?: string, code?: ErrorCode): Refusal {
  return { why, ...(hint !== undefined && { hint }), ...(code !== undefined && { code }) };
}

/** The refusals that are the same for whatever is set on a port, a VF or a link. */
export const refusals = {
  ofSwitch: refuse('its port is not one of a Linux bridge, and is set by what it is plugged into'),
  ofLooseTap: refuse('its tap is in no bridge', "'bridge' in a rule, or type='bridge', connects it to one"),
  ofMacvtap: refuse('a macvtap is no port of a bridge'),
  ofVf: refuse('a VF is no port of a bridge'),
  ofVfAlone: refuse('only the PF of a VF sets it'),
  ofPciDevice: refuse('it is no VF whose PF can be asked'),
  ofBackend: refuse('it has no device on the host that could be set'),
  ofUnknown: refuse('what it is connected to is not known'),
} as const;

/** Of what has no link or card behind it nothing can be set; what is not known yet is told apart later. */
const always = { 'PCI device': refusals.ofPciDevice, backend: refusals.ofBackend, unknown: 'set' } as const;

/** For settings of a bridge's port. */
export const onPorts: Settable = {
  'bridge port': 'set',
  'foreign port': refusals.ofSwitch,
  'loose tap': refusals.ofLooseTap,
  macvtap: refusals.ofMacvtap,
  'macvtap on a VF': refusals.ofMacvtap,
  VF: refusals.ofVf,
  ...always,
};

/** For settings of a VF. */
export const onVfs: Settable = {
  'bridge port': refusals.ofVfAlone,
  'foreign port': refusals.ofVfAlone,
  'loose tap': refusals.ofVfAlone,
  macvtap: refusals.ofVfAlone,
  'macvtap on a VF': 'set',
  VF: 'set',
  ...always,
};
