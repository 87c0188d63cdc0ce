import { userOf } from '../kernel/device-uses.ts';
import { isOnVfio } from '../kernel/host-view.ts';
import type { GuestName, Uuid } from '../model/values.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { type Found, findDefined, findDevice, listDevices } from './find.ts';
import type { HotplugHost, Where } from './host.ts';
import { holding, type Live, readLive, recordOf } from './settle.ts';

/** How often the lists are looked at while the guest is waited for, and told of. */
const lookMs = 100;
const tellMs = 2000;

/**
 * Detaches a device: always through its interface, if it has one. libvirt takes it out of both lists, gives the host device
 * back and then the pool's place; only then what was set for it is taken back. Throws `STILL_ATTACHED` when the guest has
 * not let go in time: the request stands.
 */
export async function detach(
  name: GuestName,
  selector: string,
  {
    where,
    limitMs,
    dryRun,
    host,
  }: { readonly where: Where; readonly limitMs: number; readonly dryRun: boolean; readonly host: HotplugHost },
): Promise<void> {
  if (selector === '') throw new ActualnetError('USAGE', 'which device? It is named by its MAC, alias or PCI address');
  const ofDefinition = where.config ? await findInDefinition(name, selector, { isBoth: where.live, host }) : undefined;
  if (!where.live) {
    if (ofDefinition !== undefined) await changeDefinition(ofDefinition, { dryRun, host });
    return;
  }
  const { domain, view, found } = await findUnpluggable(name, selector, host);
  if (dryRun) {
    host.say(`virsh ${unplugCommand(domain.uuid, found).join(' ')}`);
    if (ofDefinition !== undefined) await changeDefinition(ofDefinition, { dryRun, host });
    const back = found.address === undefined ? [] : [`${found.address} is given back, with the settings it had`];
    for (const step of ['the guest lets go', ...back, 'the record is brought up to date']) host.say(step);
    return;
  }
  const left = await holding(name, host, async () => {
    const { found: now } = await findUnpluggable(name, selector, host);
    if (now.alias !== found.alias || now.mac !== found.mac || now.address !== found.address)
      throw new ActualnetError('ACTION_FAILED', `'${selector}' has become another device meanwhile`, {
        owner: domain.owner,
      });
    await askFor(found, domain.uuid, host);
    // The guest may take its time, or be reset: as with virsh, its definition does not wait for that.
    const stays = await changeDefinitionIfAny(ofDefinition, { owner: domain.owner, host });
    if (!(await waitFor(name, { found, domain }, { limitMs, host }))) {
      throw new ActualnetError(
        'STILL_ATTACHED',
        `${domain.owner}: the guest has not let go of ${found.name} ('${found.alias}') within ${limitMs / 1000} s`,
        {
          hint: 'the request stands; when the guest lets go, the agent, or what the hooks leave behind, does the rest',
        },
      );
    }
    if (stays !== undefined) throw stays;
    return findLeft(name, found, { domain, view }, host);
  });
  if (left.length > 0) {
    const what = `${found.name} ('${found.alias}') is detached`;
    throw new ActualnetError('CHECK_FAILED', `${what}, but not all of it is gone: ${left.join('; ')}`, {
      owner: domain.owner,
    });
  }
  host.say(`${found.name} ('${found.alias}') is detached`);
}

interface OfDefinition {
  readonly uuid: Uuid;
  readonly xml: string;
}

async function findInDefinition(
  name: GuestName,
  selector: string,
  { isBoth, host }: { readonly isBoth: boolean; readonly host: HotplugHost },
): Promise<OfDefinition> {
  const defined = host.findDefinition(name);
  if (defined?.uuid === undefined) throw new ActualnetError('GUEST_UNKNOWN', `guest '${name}' has no definition`);
  const live = host.findGuest(name) === undefined ? undefined : await readLive(name, host);
  const running = live ? listDevices(live.domain, live.view) : [];
  const { element } = findDefined(defined, selector, { running, isBoth });
  return { uuid: defined.uuid, xml: element.outerXml };
}

async function changeDefinition(
  { uuid, xml }: OfDefinition,
  { dryRun, host }: { readonly dryRun: boolean; readonly host: HotplugHost },
): Promise<void> {
  const command = ['detach-device', '--domain', uuid, '--config'];
  host.say(`virsh ${command.join(' ')}`);
  if (!dryRun) await host.virsh(command, xml);
}

/** Tells and answers what keeps the device in the definition: the running guest's has been asked for by now. */
async function changeDefinitionIfAny(
  ofDefinition: OfDefinition | undefined,
  { owner, host }: { readonly owner: string; readonly host: HotplugHost },
): Promise<ActualnetError | undefined> {
  if (ofDefinition === undefined) return undefined;
  try {
    await changeDefinition(ofDefinition, { dryRun: false, host });
    return undefined;
  } catch (cause) {
    const { code, message, hint } = asActualnetError(cause);
    const stays = `the definition of ${owner} still has the device: ${message}`;
    host.say(stays);
    return new ActualnetError(code, stays, { hint, cause });
  }
}

/** The device, if libvirt would let it go. */
async function findUnpluggable(
  name: GuestName,
  selector: string,
  host: HotplugHost,
): Promise<Live & { readonly found: Found }> {
  const live = await readLive(name, host);
  const found = findDevice(live.domain, live.view, selector);
  refuseUnpluggable(found, listDevices(live.domain, live.view), live.domain.owner);
  return { ...live, found };
}

/** What libvirt would refuse, in plain words. */
function refuseUnpluggable(found: Found, all: readonly Found[], owner: string): void {
  const slot = (address: string | undefined) => address?.replace(/\.[0-7]$/, '');
  const partner = all.find(
    each =>
      each.alias !== found.alias &&
      found.guestAddress !== undefined &&
      slot(each.guestAddress) === slot(found.guestAddress),
  );
  if (partner !== undefined) {
    throw new ActualnetError(
      'ACTION_FAILED',
      `${owner}: ${found.name} cannot be detached: ${partner.name} ('${partner.alias}') is in the same slot of the guest, ${slot(found.guestAddress)}`,
    );
  }
}

function unplugCommand(guest: string, { alias }: Found): string[] {
  return ['detach-device-alias', '--domain', guest, '--alias', alias, '--live'];
}

/** Asks the guest to let go, and waits. Answers whether it has. */
export async function unplug(
  name: GuestName,
  found: Found,
  { limitMs, host }: { readonly limitMs: number; readonly host: HotplugHost },
): Promise<boolean> {
  const { domain } = await readLive(name, host);
  await askFor(found, domain.uuid, host);
  return waitFor(name, { found, domain }, { limitMs, host });
}

async function askFor(found: Found, guest: Uuid, host: HotplugHost): Promise<void> {
  try {
    await host.virsh(unplugCommand(guest, found));
  } catch (cause) {
    const error = asActualnetError(cause);
    // Somebody has asked before, and the guest has not answered.
    if (!/already in the process of unplug/.test(error.message)) throw error;
    host.say('it was asked for before');
  }
}

/** Throws what keeps it from being told: that would be no reason to call the device gone. Nor is the end of its guest. */
async function waitFor(
  name: GuestName,
  { found, domain }: { readonly found: Found; readonly domain: Live['domain'] },
  { limitMs, host }: { readonly limitMs: number; readonly host: HotplugHost },
): Promise<boolean> {
  const beganMs = host.now();
  let toldMs = beganMs;
  for (;;) {
    const live = await readLive(name, host).catch(unlessGone);
    if (live?.domain.uuid !== domain.uuid) {
      throw new ActualnetError(
        'GUEST_UNKNOWN',
        `${domain.owner} has ended or left this host before it let go of ${found.name} ('${found.alias}')`,
      );
    }
    if (!isListed(found, live)) return true;
    const nowMs = host.now();
    if (nowMs - beganMs >= limitMs) return false;
    if (nowMs - toldMs >= tellMs) {
      host.say(`waiting for the guest to let go of '${found.alias}' (${Math.round((nowMs - beganMs) / 1000)} s)`);
      toldMs = nowMs;
    }
    await host.pause(lookMs);
  }
}

function unlessGone(cause: unknown): undefined {
  const error = asActualnetError(cause);
  if (error.code !== 'GUEST_UNKNOWN') throw error;
}

function isListed({ alias, mac }: Found, { domain, view }: Live): boolean {
  return listDevices(domain, view).some(each => each.alias === alias && each.mac === mac);
}

/** Somebody else may be given the device at once, and needs a moment to open it. */
const backMs = 3000;

/**
 * It is in neither list; the host device is back and the port is deleted. Answers what is not so: nothing here can mend it.
 */
async function findLeft(
  name: GuestName,
  found: Found,
  before: Pick<Live, 'domain' | 'view'>,
  host: HotplugHost,
): Promise<string[]> {
  const known = checkHostdevs(before.view);
  const untilMs = host.now() + backMs;
  for (;;) {
    const live = await readLive(name, host).catch(unlessGone);
    if (live?.domain.uuid !== before.domain.uuid) return [];
    const lists = checkHostdevs(live.view).filter(line => !known.includes(line));
    const left = [...lists, ...(await findNotBack(found, host)), ...findPort(found, before.domain.uuid, host)];
    if (left.length === 0 || host.now() > untilMs) return left;
    await host.pause(lookMs);
  }
}

async function findNotBack({ address, managed }: Found, host: HotplugHost): Promise<string[]> {
  if (address === undefined || !managed) return [];
  const { effects } = await host.planning();
  const view = await effects.view({});
  const device = view.pci(address);
  const isBack = device === undefined || !isOnVfio(device) || userOf(address, view) !== undefined;
  return isBack ? [] : [`${address} is still bound to '${device.driver}'`];
}

function findPort({ element }: Found, guest: Uuid, host: HotplugHost): string[] {
  const portid = element.child('source')?.attribute('portid');
  const ports = [...host.libvirtPorts(guest), ...(recordOf(guest, host)?.ports ?? [])];
  const left = ports.find(({ uuid }) => uuid === portid);
  return left === undefined ? [] : [`its port ${left.uuid} of network '${left.network}' is not deleted`];
}
