import type { RecordLine } from '../guest/record.ts';
import type { Domain } from '../model/domain.ts';
import type { PciAddress } from '../model/pci-address.ts';
import type { GuestView } from '../transform/guest-view.ts';
import type { HookContext } from './context.ts';

/** A line of a guest's record about a call. */
export function lineOf(
  op: string,
  domain: Domain,
  context: HookContext,
  rest: {
    view?: GuestView;
    findings?: readonly string[];
    unset?: readonly string[];
    incoming?: boolean;
    beside?: boolean;
    rewritten?: readonly string[] | undefined;
    picks?: readonly PciAddress[] | undefined;
  },
): RecordLine {
  const { findings, incoming, beside, rewritten, picks, ...view } = rest;
  return {
    at: new Date(context.now()).toISOString(),
    op,
    name: domain.name,
    ...view,
    ...(findings?.length ? { findings } : {}),
    ...(incoming ? { incoming } : {}),
    ...(beside ? { beside } : {}),
    ...(rewritten?.length ? { rewritten } : {}),
    ...(picks?.length ? { picks } : {}),
  };
}
