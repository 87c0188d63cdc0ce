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
  /** Whom it is about, with which the message begins: `guest 'web1'`, or `guest 'web1', interface 52:54:...`. */
  readonly owner: string | undefined;
  /** The message without the owner. */
  readonly what: string;

  constructor(
    code: ErrorCode,
    what: string,
    {
      owner,
      hint,
      cause,
    }: { readonly owner?: string; readonly hint?: string | undefined; readonly cause?: unknown } = {},
  ) {
    super(owner === undefined ? what : `${owner}: ${what}`, { cause });
    this.name = 'ActualnetError';
    this.code = code;
    this.hint = hint;
    this.owner = owner;
    this.what = what;
  }
}

/**
 * The single line shown for `error`: message, hint, code. Never a stack trace, never a control character. Where its owner has been
 * named already it is left out.
 */
export function errorLine(error: unknown, named?: string): string {
  const { message, what, owner, hint, code } = asActualnetError(error);
  return printable(
    `${owner !== undefined && owner === named ? what : message}${hint === undefined ? '' : ` (hint: ${hint})`} [${code}]`,
  );
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
