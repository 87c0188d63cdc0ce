import { visible } from './visible.ts';

/**
 * Every code an administrator can meet, in the order of `docs/errors.md`, which explains each one.
 */
export const errorCodes = [
  'XML_SYNTAX',
  'XML_LIMIT',
  'XML_ENCODING',
  'XML_KIND',
  'XML_VALUE',
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
  'ACTION_FAILED',
  'STILL_ATTACHED',
  'CHECK_FAILED',
  'LOCKED',
  'IN_FORCE',
  'GUEST_UNKNOWN',
  'USAGE',
  'FILE',
  'TIME_LIMIT',
  'BUG',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** What went wrong, in one line an administrator can act on. */
export class ActualnetError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'ActualnetError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** The single line shown for `error`: message, hint, code. Never a stack trace, never a control character. */
export function errorLine(error: unknown): string {
  const { message, hint, code } = asActualnetError(error);
  return printable(`${message}${hint === undefined ? '' : ` (hint: ${hint})`} [${code}]`);
}

/** `error` as one of ours; whatever else was thrown is a defect of actualnet and says so. */
export function asActualnetError(error: unknown): ActualnetError {
  if (error instanceof ActualnetError) return error;
  const seen = error instanceof Error ? error.message : String(error);
  return new ActualnetError('BUG', `actualnet met something it does not expect: ${seen}`, { cause: error });
}

const maxLineLength = 2000;

/** `text` on one line, with everything in it to be seen; an overlong line is cut. */
export function printable(text: string): string {
  const line = visible(text);
  return line.length <= maxLineLength ? line : `${line.slice(0, maxLineLength)}...`;
}
