import type { HostFacts } from './facts.ts';
import type { Finding } from './finding.ts';
import { examineHooks } from './hooks.ts';
import { examineHost } from './host.ts';
import { examineManagers } from './managers.ts';
import { examineState } from './state.ts';

/** All that is wrong on a host. */
export function examine(facts: HostFacts): Finding[] {
  return [...examineHooks(facts), ...examineHost(facts), ...examineManagers(facts), ...examineState(facts)];
}
