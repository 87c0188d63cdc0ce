import { type GuestContext, guestContext } from '../guest/context.ts';
import { openDevice, predictDevice, prepareDevice } from '../guest/devices.ts';
import { describeChange } from '../kernel/registry.ts';
import type { GuestName, Uuid } from '../model/values.ts';

import { ActualnetError, asActualnetError, type ErrorCode, errorLine } from '../report/error.ts';
import { describeActual } from '../resolve/actual.ts';
import { findLostPorts } from '../resolve/claim.ts';
import type { GuestView, HostdevView, InterfaceView } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import type { XmlDocument } from '../xml/document.ts';
import { checkDevice } from './check.ts';
import { unplug } from './detach.ts';
import { givenAlias, type NewDevice, nameOfNew, readNewDevice, withDevice } from './device.ts';
import { type Found, listDevices, listWritten, type Written } from './find.ts';
import type { HotplugHost, Where } from './host.ts';
import { forgetRefusedPorts, holding, isClosed, type Live, readLive } from './settle.ts';

/** Attaching writes the status file before virsh ends; a slow disk may need a moment. */
const listedMs = 3000;
/** A device that was attached a moment ago is let go of at once, if the guest has an operating system that knows it. */
const undoMs = 10_000;

/**
 * Attaches a device to a guest: resolved and refused first, made ready on the host, attached by libvirt, found in both lists,
 * set and opened. When a step fails those before it are undone, newest first.
 */
export async function attach(
  name: GuestName,
  document: XmlDocument,
  { where, dryRun, host }: { readonly where: Where; readonly dryRun: boolean; readonly host: HotplugHost },
): Promise<void> {
  const device = readNewDevice(document, name, host.newMac);
  const options = [...(where.live ? ['--live'] : []), ...(where.config ? ['--config'] : [])];
  const uuid = (where.live ? host.findGuest(name) : host.findDefinition(name))?.uuid;
  if (uuid === undefined) {
    const what = where.live ? 'does not run' : 'has no definition';
    throw new ActualnetError('GUEST_UNKNOWN', `guest '${name}' ${what}`);
  }
  // By its uuid: virsh takes a number for an id before it takes it for a name.
  const command = ['attach-device', '--domain', uuid, ...options];
  if (!where.live) {
    host.say(`virsh ${command.join(' ')}`);
    if (!dryRun) await host.virsh(command, device.xml);
    return;
  }
  if (dryRun) {
    const live = await readLive(name, host);
    const { changes, will, without } = await predict(device, live, host);
    const steps = [will, ...without, ...changes, `virsh ${command.join(' ')}`, ...afterwards(name, live, host)];
    for (const step of steps) host.say(step);
    return;
  }
  await holding(name, host, () => attachLive(name, device, { command, host }));
}

function afterwards(name: GuestName, { policy }: Live, host: HotplugHost): string[] {
  const runs = host.runState(name)?.state === 'running';
  const why = runs ? 'its CPUs run' : 'it is to stay open while QEMU has stopped its CPUs';
  const opening = isClosed(name, policy, host) ? 'its CPUs are paused, so it stays closed' : `opened, since ${why}`;
  return ['checked in both lists, and set on the host as at a start', opening];
}

interface Predicted {
  readonly guest: GuestContext;
  readonly alias: string;
  /** A line that says what it will be. */
  readonly will: string;
  /** What it will be without, although it is asked for. */
  readonly without: readonly string[];
  /** What is changed on the host before. */
  readonly changes: readonly string[];
}

/** What the device will be here, and under which alias. Throws what would keep it from that. */
async function predict(device: NewDevice, { domain, view, policy }: Live, host: HotplugHost): Promise<Predicted> {
  const name = nameOfNew(device);
  const refuse = (why: string, hint?: string) => {
    throw new ActualnetError('DEVICE_TWICE', `${domain.owner}, ${name}: ${why}`, { hint });
  };
  const present = listDevices(domain, view);
  if (device.kind === 'interface' && !device.iface.teaming) {
    const same = present.find(({ mac }) => mac === device.iface.mac);
    if (same)
      refuse(
        `'${same.alias}' has this MAC`,
        'if it is to be exchanged, wait until the guest has let go of the other one',
      );
  }
  const wanted = givenAlias(device);
  const elements = domain.element.childrenNamed('devices').flatMap(({ children }) => children);
  if (wanted !== undefined && elements.some(each => each.child('alias')?.attribute('name') === wanted))
    refuse(`another device has the alias '${wanted}'`);
  const planning = await host.planning();
  const guest = await guestContext(withDevice(domain, device), planning, {
    paused: isClosed(domain.name, policy, host),
  });
  const entry = entryOf(device, guest.view);
  if ('error' in entry && entry.error)
    throw new ActualnetError(entry.error.code as ErrorCode, entry.error.message, hintOf(entry));
  const [broken] = checkHostdevs(guest.view).filter(line => !checkHostdevs(view).includes(line));
  if (broken !== undefined) refuse(broken);
  const predicted = await predictDevice({ guest, device: keyOf(device) }, planning.findNetwork);
  const { blockers, changes, without } = predicted;
  const [blocker] = [...blockers.flatMap(({ refuses, error }) => (refuses ? error : [])), ...predicted.refusals];
  if (blocker !== undefined)
    throw new ActualnetError(blocker.code, blocker.message, { owner: domain.owner, hint: blocker.hint });
  for (const { error } of blockers) host.say(errorLine(error));
  const what = 'actual' in entry && entry.actual !== null ? describeActual(entry.actual) : 'a host device';
  return {
    guest,
    alias: entry.alias,
    will: `${name} will be '${entry.alias}': ${what}`,
    without,
    changes: changes.map(describeChange),
  };
}

function entryOf(device: NewDevice, view: GuestView): InterfaceView | HostdevView {
  if (device.kind === 'interface') return view.interfaces.at(-1)!;
  return view.hostdevs.filter(entry => entry.interface === null).at(-1)!;
}

function hintOf({ error }: InterfaceView | HostdevView): { hint: string | undefined } {
  return { hint: error?.hint ?? undefined };
}

function keyOf(device: NewDevice): Parameters<typeof predictDevice>[0]['device'] {
  return device.kind === 'interface' ? { mac: device.iface.mac } : { address: device.hostdev.address };
}

async function attachLive(
  name: GuestName,
  device: NewDevice,
  { command, host }: { readonly command: readonly string[]; readonly host: HotplugHost },
): Promise<void> {
  const before = await readLive(name, host);
  // Of those that a definition has already, none is ours to take out again.
  const definedBefore = command.includes('--config') ? definedLike(device, name, host).length : undefined;
  const { guest, alias, will, without } = await predict(device, before, host);
  for (const line of [will, ...without]) host.say(line);
  let found: Found | undefined;
  let mayBeThere = false;
  try {
    for (const line of await prepareDevice({ guest, device: keyOf(device) })) host.say(line);
    await host.virsh(command, device.xml).catch(error => {
      // One that libvirt has refused is not ours, even if somebody else has attached it meanwhile.
      mayBeThere = /did not end within/.test(asActualnetError(error).message);
      throw error;
    });
    mayBeThere = true;
    host.say('libvirt has attached it');
    found = await listed(name, { device, before }, host);
    if (found.alias !== alias) host.say(`libvirt calls it '${found.alias}' instead of '${alias}'`);
    await setUp(name, device, host);
    host.say(`${found.name} is attached as '${found.alias}'`);
  } catch (cause) {
    if (mayBeThere) found ??= find(await readLive(name, host).catch(() => undefined), { device, before });
    if (device.kind === 'interface') forgetRefusedPorts(name, device.iface.mac, host);
    const failures = found === undefined ? [] : await takeAway(name, found, host);
    if (mayBeThere && definedBefore !== undefined)
      failures.push(...(await takeOut(name, { guest: guest.uuid, device, definedBefore }, host)));
    for (const failure of failures) host.say(`not undone: ${failure}`);
    throw asActualnetError(cause);
  }
}

/** The device in both lists as libvirt has them now. Throws `ACTION_FAILED` with the rule that they break. */
async function listed(name: GuestName, wanted: Wanted, host: HotplugHost): Promise<Found> {
  const untilMs = host.now() + listedMs;
  for (;;) {
    const live = await readLive(name, host);
    const found = find(live, wanted);
    const known = checkHostdevs(wanted.before.view);
    const broken = checkHostdevs(live.view).find(line => !known.includes(line));
    if (found !== undefined && broken === undefined) return found;
    if (host.now() > untilMs) {
      const why = broken ?? 'libvirt does not have it in its lists';
      throw new ActualnetError('ACTION_FAILED', `${live.domain.owner}, ${nameOfNew(wanted.device)}: ${why}`);
    }
    await host.pause(50);
  }
}

interface Wanted {
  readonly device: NewDevice;
  readonly before: Live;
}

/** The one that was not there before. */
function find(live: Live | undefined, { device, before }: Wanted): Found | undefined {
  if (live === undefined) return undefined;
  const known = new Set(listDevices(before.domain, before.view).map(({ alias, mac }) => `${alias} ${mac}`));
  const isNew = ({ alias, mac }: Found) => !known.has(`${alias} ${mac}`);
  return listDevices(live.domain, live.view).find(each => isLike(device, each) && isNew(each));
}

/** What a start asks for on the host. Throws what cannot be done, unless it may fail, and what libvirt has not done. */
async function setUp(name: GuestName, device: NewDevice, host: HotplugHost): Promise<void> {
  const { domain, view, policy } = await readLive(name, host);
  const planning = await host.planning();
  const guest = await guestContext(domain, planning, { paused: isClosed(name, policy, host), view });
  for (const line of await openDevice({ guest, device: keyOf(device) })) host.say(line);
  const own = domain.interfaces.filter(({ mac }) => device.kind === 'interface' && mac === device.iface.mac);
  const wrong = [
    ...findLostPorts({ ...domain, interfaces: own }, planning.findNetwork),
    ...(await checkDevice(guest, nameOfNew(device))),
  ];
  if (wrong.length > 0) throw new ActualnetError('ACTION_FAILED', wrong.join('; '), { owner: domain.owner });
}

/** Those in the definition that could be the device. */
function definedLike(device: NewDevice, name: GuestName, host: HotplugHost): Written[] {
  const defined = host.findDefinition(name);
  return defined === undefined ? [] : listWritten(defined).filter(each => isLike(device, each));
}

function isLike(device: NewDevice, { mac, address }: Pick<Found, 'mac' | 'address'>): boolean {
  return device.kind === 'interface'
    ? mac === device.iface.mac
    : mac === undefined && address === device.hostdev.address;
}

/** From the running guest. Answers what failed. */
async function takeAway(name: GuestName, found: Found, host: HotplugHost): Promise<string[]> {
  host.say(`taking '${found.alias}' away again`);
  try {
    const isGone = await unplug(name, found, { limitMs: undoMs, host });
    return isGone ? [] : [`the guest has not let go of '${found.alias}'`];
  } catch (error) {
    return [asActualnetError(error).message];
  }
}

/** From the definition, to which the same command has added it; in its own words, which say where in the guest it was to be. */
async function takeOut(
  name: GuestName,
  { guest, device, definedBefore }: { guest: Uuid; device: NewDevice; definedBefore: number },
  host: HotplugHost,
): Promise<string[]> {
  try {
    const [added] = definedLike(device, name, host).slice(definedBefore);
    if (added !== undefined) await host.virsh(['detach-device', '--domain', guest, '--config'], added.element.outerXml);
    return [];
  } catch (error) {
    return [`its definition may have the device now: ${asActualnetError(error).message}`];
  }
}
