import type { ActualnetError, ErrorCode } from '../report/error.ts';
import type { ExitStatus } from './command.ts';

/** Errors that are an answer: what was asked for is refused, or what was looked at is not as it should be. */
const refusals: readonly ErrorCode[] = [
  'CONFIG',
  'NETWORK_UNKNOWN',
  'NETWORK_INACTIVE',
  'VIRTUALPORT_CONFLICT',
  'VIRTUALPORT_MODE',
  'VIRTUALPORT_INCOMPLETE',
  'NO_FORWARD_DEVICE',
  'POOL_EXHAUSTED',
  'FLOOR_UNSUPPORTED',
  'FLOOR_EXCEEDED',
  'DEVICE_TWICE',
  'ABI_BREAK',
  'ACTUAL_UNSUPPORTED',
  'MAC_TAKEN',
  'CLAIM_FAILED',
  'DEVICE_MISSING',
  'NOT_A_VF',
  'PF_DOWN',
  'DEVICE_IN_USE',
  'DEVICE_NOT_BOUND',
  'GROUP_NOT_VIABLE',
  'ACCESS_MISSING',
  'VLAN_UNSUPPORTED',
  'CHECK_FAILED',
  'IN_FORCE',
];

/** How a command ends that has met that error. A hook's answer to libvirt is 0 or 1 and has nothing to do with it. */
export function exitStatusOf({ code }: ActualnetError): ExitStatus {
  if (code === 'USAGE') return 2;
  return refusals.includes(code) ? 3 : 1;
}
