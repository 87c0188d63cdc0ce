import { type Planning, viewOf } from '../guest/context.ts';
import { mayReserve, rewriteForHost } from '../guest/rewrite.ts';
import { readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import type { XmlDocument } from '../xml/document.ts';
import type { HookContext } from './context.ts';
import { resolvingOf } from './guest.ts';
import { lineOf } from './record-lines.ts';

/** A guest is to come: its document is made one for this host, what it needs is promised to it. Unchanged, nothing is printed. */
export async function receive(
  operation: 'migrate' | 'restore',
  guest: Uuid,
  document: XmlDocument,
  context: HookContext,
): Promise<string> {
  const { memory, effects, libvirtVersion: version } = context;
  const planning = { config: await context.config(), effects, findNetwork: memory.findNetwork, version };
  const { outdated } = planning.config;
  if (outdated !== undefined) context.log.warn(`guest '${guest}', ${operation}: ${outdated}`);
  // Two guests that come at once must not be promised the same VF.
  const unlock = await effects.lock(mayReserve(planning.config) ? ['vf picks'] : []);
  try {
    return await rewriteAndAnnounce(operation, guest, document, { planning, context });
  } finally {
    unlock();
  }
}

async function rewriteAndAnnounce(
  operation: 'migrate' | 'restore',
  guest: Uuid,
  document: XmlDocument,
  { planning, context }: { planning: Planning; context: HookContext },
): Promise<string> {
  const {
    changes,
    picks,
    refused: findings,
    ...rewritten
  } = await rewriteForHost(document, planning, {
    usersBeside: context.deviceUsers,
    arrives: true,
  });
  const domain = readDomain(rewritten.document);
  const view = viewOf(domain, resolvingOf(context));
  context.memory.announce(guest, lineOf(operation, domain, context, { view, rewritten: changes, picks, findings }));
  for (const finding of findings) context.log.warn(`${domain.owner}, ${operation}: ${finding}`);
  for (const change of changes) context.log.info(`${domain.owner}, ${operation}: ${change}`);
  return rewritten.document === document ? '' : rewritten.document.text;
}
