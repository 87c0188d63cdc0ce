import { actOnPort, releasePort } from '../guest/ports.ts';
import { blockersOf } from '../guest/predict.ts';
import { comparePort, foldRecord, type GuestRecord, type PortView } from '../guest/record.ts';
import { carryOut } from '../journal/apply.ts';
import { releaseShared, type Undone } from '../journal/undo.ts';
import type { Network } from '../model/network.ts';
import { type NetworkPort, readHookData } from '../model/network-port.ts';
import { portDevice } from '../plan/guest-devices.ts';
import { isPassive } from '../plan/plan.ts';
import { planNetworkStart } from '../plan/provisioned-links.ts';
import { ActualnetError, errorLine } from '../report/error.ts';
import { parseXml } from '../xml/document.ts';
import type { HookContext, Invocation } from './context.ts';
import type { NetworkOperation } from './phases.ts';

/** Answers one call of the network hook; libvirt reads nothing back. */
export async function handleNetwork(
  operation: NetworkOperation,
  invocation: Invocation,
  context: HookContext,
): Promise<''> {
  const { memory } = context;
  const { network, port } = readHookData(parseXml(invocation.readStdin()));
  switch (operation) {
    case 'start':
      // The start may still fail, and then nobody says so; what is left of an earlier run has no meaning any more.
      memory.forgetNetwork(network.name);
      await provideFor(network, context);
      return '';
    case 'started':
    case 'updated':
      remember(network, context);
      return '';
    case 'stopped':
      memory.forgetNetwork(network.name);
      report(await releaseShared(userOf(network), context.effects), network, context);
      return '';
    case 'port-created':
      await portCreated(network, required(port, network), context);
      return '';
    case 'port-deleted':
      await portDeleted(network, required(port, network), context);
      return '';
  }
}

/** Makes what the network stands on and the configuration provides; the network cannot start without it. */
async function provideFor(network: Network, { config, effects, log }: HookContext): Promise<void> {
  const current = await config();
  if (current.outdated !== undefined) log.warn(`${network.owner}, start: ${current.outdated}`);
  const changes = planNetworkStart(network, current);
  // All of it is shared: the ledgers are those of the devices.
  const ledger = { read: () => [], append: () => {}, replace: () => {} };
  const user = userOf(network);
  try {
    const problems = await carryOut(changes, { owner: network.owner, user, ledger, effects, keepGoing: false });
    for (const line of problems) log.warn(`${network.owner}, start: ${line}`);
  } catch (error) {
    // Nobody says so when a network does not start: what it joined already must not wait for it.
    await releaseShared(user, effects);
    throw error;
  }
}

function userOf(network: Network): string {
  return `network:${network.name}`;
}

function report({ leftAlone, problems }: Undone, network: Network, { log }: HookContext): void {
  for (const line of [...leftAlone, ...problems]) log.warn(`${network.owner}, stopped: ${line}`);
}

/** What is set on the device comes first: a port that is refused has never been. */
async function portCreated(network: Network, port: NetworkPort, context: HookContext): Promise<void> {
  const { memory } = context;
  const record = foldRecord(port.ownerUuid, memory.readRecord(port.ownerUuid));
  // A daemon that restarts announces every port again; one that is refused then is lost to libvirt, and given away twice.
  const isNew = record?.ports.every(({ uuid }) => uuid !== port.uuid) ?? false;
  const end = record?.actual ? await context.holdDevices(port.ownerUuid) : undefined;
  try {
    await noteCreated(network, port, { record, isNew, context });
  } finally {
    end?.();
  }
}

/** Whoever takes back what a guest's earlier devices have left must find the port, or nothing of it. */
async function noteCreated(
  network: Network,
  port: NetworkPort,
  { record, isNew, context }: { record: GuestRecord | undefined; isNew: boolean; context: HookContext },
): Promise<void> {
  const { memory, log } = context;
  // libvirt has chosen, perhaps otherwise than predicted; and for a device that is attached nobody has asked us before. What a
  // guest runs with is its own, also where its port is not recorded: that we came later.
  const hasIt = record?.actual?.interfaces.some(({ mac }) => mac === port.mac) ?? false;
  const found = isNew && !hasIt ? await refuseUsed(port, network, context) : [];
  const problems = await setUp(port, network, context).catch(error => {
    if (isNew) throw error;
    return [errorLine(error)];
  });
  problems.push(...found);
  for (const line of problems) log.warn(`guest '${port.ownerName}', port-created: ${line}`);
  remember(network, context);
  memory.rememberPort(network.name, { uuid: port.uuid, xml: port.element.outerXml });
  // Without a record (installed while the guest ran) the port file is enough; `start` or `reconnect` makes one.
  if (record === undefined) return;
  const view: PortView = { uuid: port.uuid, network: network.name, mac: port.mac, plug: port.plug ?? null };
  const known = record.ports.find(({ uuid }) => uuid === view.uuid);
  if (JSON.stringify(known) === JSON.stringify(view)) return;
  const running = record.actual !== null;
  const findings = running || record.predicted === null ? [] : comparePort(record.predicted, view);
  memory.appendRecord(port.ownerUuid, { at: isoTime(context), op: 'port-created', port: view, findings });
  for (const finding of findings) log.warn(`guest '${port.ownerName}', port-created: ${finding}`);
}

/** A device that others use is not given away. Answers what is taken on purpose. */
async function refuseUsed(
  port: NetworkPort,
  network: Network,
  { config: read, effects, memory }: HookContext,
): Promise<string[]> {
  const host = await effects.view({});
  const context = { config: await read(), host };
  const device = portDevice(port, network, context);
  if (device === undefined) return [];
  const { findNetwork } = memory;
  const asked = { guest: port.ownerName, findNetwork, effects, devices: [device] };
  const blockers = await blockersOf({ ...context, devices: [device] }, asked);
  const uses = blockers.filter(({ error }) => error.code === 'DEVICE_IN_USE');
  const refusal = uses.find(({ refuses }) => refuses)?.error;
  if (refusal !== undefined) throw refusal;
  return uses.map(({ error }) => errorLine(error));
}

async function setUp(port: NetworkPort, network: Network, { config: read, effects }: HookContext): Promise<string[]> {
  const config = await read();
  const outdated = config.outdated === undefined ? [] : [config.outdated];
  return [...outdated, ...(isPassive(config) ? [] : await actOnPort(port, network, { config, effects }))];
}

/** libvirt has given the device back by now, as it does it. */
async function portDeleted(network: Network, port: NetworkPort, context: HookContext): Promise<void> {
  const { memory, log, effects } = context;
  memory.forgetPort(network.name, port.uuid);
  const { leftAlone, problems } = await releasePort(port, network, effects);
  for (const line of [...leftAlone, ...problems]) log.warn(`guest '${port.ownerName}', port-deleted: ${line}`);
  if (memory.readRecord(port.ownerUuid).length === 0) return;
  memory.appendRecord(port.ownerUuid, { at: isoTime(context), op: 'port-deleted', uuid: port.uuid });
}

/** Keeps the running network as just seen. Its connection counts are not used: the ports themselves are counted. */
function remember(network: Network, { memory }: HookContext): void {
  memory.rememberNetwork(network.name, network.element.outerXml);
}

function required(port: NetworkPort | undefined, network: Network): NetworkPort {
  if (port === undefined)
    throw new ActualnetError('XML_KIND', `the document has no <networkport>`, { owner: network.owner });
  return port;
}

function isoTime({ now }: HookContext): string {
  return new Date(now()).toISOString();
}
