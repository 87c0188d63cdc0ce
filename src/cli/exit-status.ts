import type { ActualnetError, ErrorCode } from '../report/error.ts';

/** Something could not be done or read. All other errors are an answer: refused, or not as it should be. */
const failures: readonly ErrorCode[] = [
  'XML_SYNTAX',
  'XML_LIMIT',
  'XML_ENCODING',
  'XML_KIND',
  'XML_VALUE',
  'ACTION_FAILED',
  'STILL_ATTACHED',
  'LOCKED',
  'GUEST_UNKNOWN',
  'FILE',
  'TIME_LIMIT',
  'BUG',
];

/** How a command ends that has met that error. A hook's answer to libvirt is 0 or 1 and has nothing to do with it. */
export function exitStatusOf({ code }: ActualnetError): ExitStatus {
  if (code === 'USAGE') return 2;
  return failures.includes(code) ? 1 : 3;
}

/** 0 fine; 1 failed; 2 wrong usage; 3 refused, or what was looked at is not as it should be. */
export type ExitStatus = 0 | 1 | 2 | 3;
