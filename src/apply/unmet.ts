import { type Change, isVfSubject } from '../plan/change.ts';
import { type HostView, observe } from '../plan/host-view.ts';
import { isMet } from './in-turn.ts';

/** The changes that the host does not show. What the kernel does not tell of a VF counts as made. */
export function findUnmet<C extends Pick<Change, 'subject' | 'to' | 'shared'>>(
  changes: readonly C[],
  host: HostView,
): C[] {
  return changes.filter(change => {
    const observed = observe(change.subject, host);
    return !isMet(change, observed) && !(observed === null && isVfSubject(change.subject));
  });
}
