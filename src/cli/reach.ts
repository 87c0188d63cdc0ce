import type { Effects } from '../apply/effects.ts';
import { actOnGuest } from '../apply/guest.ts';
import type { Config } from '../config/config.ts';
import { readWishes } from '../config/wishes.ts';
import { readDomain } from '../model/domain.ts';
import { ActualnetError } from '../report/error.ts';
import { type NetworkLookup, resolveGuest } from '../resolve/guest.ts';
import type { LibvirtVersion } from '../resolve/version.ts';
import { viewGuest } from '../transform/guest-view.ts';
import type { CommandIo } from './io.ts';

export interface ReachOptions {
  readonly document: string;
  readonly to: 'reachable' | 'unreachable';
  readonly config: Config;
  readonly effects: Effects;
  readonly findNetwork: NetworkLookup;
  readonly version: () => LibvirtVersion;
}

/** `actualnet reachable|unreachable DOMAIN.xml`: what a change of the run state asks for, by whoever knows of one. */
export async function reachCommand({ document, to, ...options }: ReachOptions, io: CommandIo): Promise<void> {
  const domain = readDomain(io.readDocument(document));
  if (domain.uuid === undefined) throw new ActualnetError('XML_VALUE', `${domain.owner}: the document has no <uuid>`);
  const { config, effects, findNetwork, version } = options;
  const view = viewGuest(domain, resolveGuest(domain, { findNetwork, version }));
  const { wishes } = readWishes(domain, config.guests);
  const problems = await actOnGuest(to, { uuid: domain.uuid, domain, view, config, wishes, incoming: false, effects });
  for (const problem of problems) io.write(`${problem}\n`);
  if (problems.length > 0) throw new ActualnetError('ACTION_FAILED', `${domain.owner} could not be made fully ${to}`);
}
