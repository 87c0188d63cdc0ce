import { type ActualnetError, printable } from '../report/error.ts';

/** An error as views and records keep it. */
export interface ErrorView {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

export function viewError(error: ActualnetError): ErrorView {
  return { code: error.code, message: printable(error.message), hint: error.hint ?? null };
}
