import { isLinkName, isMac } from '../model/values.ts';
import { ActualnetError } from '../report/error.ts';
import type { Command } from './kind.ts';

/** A line for `ip -batch`. Words are checked before: the line is read by a program that splits at blanks. */
export function ip(line: string): Command {
  return { tool: 'ip', line };
}

/** Likewise for `bridge -batch`. */
export function bridge(line: string): Command {
  return { tool: 'bridge', line };
}

/** The kernel takes any name without a slash or blank; one that a batch file would read otherwise throws `XML_VALUE`. */
export function linkName(name: string): string {
  if (isLinkName(name)) return name;
  throw new ActualnetError('XML_VALUE', `'${name}' cannot be used as the name of a network device`, {
    hint: 'at most 15 letters, digits and . _ - @ + =',
  });
}

/** Throws `XML_VALUE` for what is no MAC address. */
export function macAddress(address: string | null): string {
  if (address !== null && isMac(address)) return address;
  throw new ActualnetError('XML_VALUE', `'${address}' is not a MAC address`);
}

/** Throws `BUG` for what is no whole number from 0 on. */
export function number(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new ActualnetError('BUG', `'${String(value)}' is not a number a command can take`);
}

/** Readers of stored values. */
export const readBoolean = (stored: unknown) => (typeof stored === 'boolean' || stored === null ? stored : undefined);
export const readNumber = (stored: unknown) => (typeof stored === 'number' || stored === null ? stored : undefined);
export const readText = (stored: unknown) => (typeof stored === 'string' || stored === null ? stored : undefined);

/** `on` or `off`. */
export const onOff = (value: boolean | null) => (value === true ? 'on' : 'off');
