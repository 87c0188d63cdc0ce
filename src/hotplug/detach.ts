import { guestAtHand, type Planning } from '../apply/guest.ts';
import type { Domain } from '../model/domain.ts';
import { isOnVfio } from '../plan/host-view.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { type Found, findDevice, listDevices } from './find.ts';
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
  name: string,
  selector: string,
  {
    where,
    limitMs,
    dryRun,
    host,
  }: { readonly where: Where; readonly limitMs: number; readonly dryRun: boolean; readonly host: HotplugHost },
): Promise<void> {
  if (selector === '') throw new ActualnetError('USAGE', 'which device? It is named by its MAC, alias or PCI address');
  const ofDefinition = where.config
    ? findDefined(name, selector, { ...where, planning: await host.planning(), host })
    : undefined;
  const changeDefinition = async () => {
    if (ofDefinition === undefined) return;
    const command = ['detach-device', '--domain', ofDefinition.uuid, '--config'];
    host.say(`virsh ${command.join(' ')}`);
    if (!dryRun) await host.virsh(command, ofDefinition.xml);
  };
  if (!where.live) return changeDefinition();
  const { domain, found } = await findUnpluggable(name, selector, host);
  if (dryRun) {
    await changeDefinition();
    const back = found.address === undefined ? [] : [`${found.address} is given back, with the settings it had`];
    const steps = [
      `virsh ${unplugCommand(domain.uuid, found).join(' ')}`,
      'the guest lets go',
      ...back,
      'the record is brought up to date',
    ];
    for (const step of steps) host.say(step);
    return;
  }
  await holding(name, host, async () => {
    const { found: now } = await findUnpluggable(name, selector, host);
    if (now.alias !== found.alias || now.mac !== found.mac || now.address !== found.address)
      throw new ActualnetError('ACTION_FAILED', `${domain.owner}: '${selector}' has become another device meanwhile`);
    await changeDefinition();
    if (!(await unplug(name, found, { limitMs, host }))) {
      throw new ActualnetError(
        'STILL_ATTACHED',
        `${domain.owner}: the guest has not let go of ${found.name} ('${found.alias}') within ${limitMs / 1000} s`,
        {
          hint: 'the request stands; when the guest lets go, the agent, or what the hooks leave behind, does the rest',
        },
      );
    }
    await verifyGone(name, found, host);
  });
  host.say(`${found.name} ('${found.alias}') is detached`);
}

/** The device, if libvirt would let it go. */
async function findUnpluggable(
  name: string,
  selector: string,
  host: HotplugHost,
): Promise<Live & { readonly found: Found }> {
  const live = await readLive(name, host);
  const found = findDevice(live.domain, live.view, selector);
  refuseUnpluggable(found, listDevices(live.domain, live.view), live.domain.owner);
  return { ...live, found };
}

/**
 * The device in the definition, which has only the aliases that an administrator gave. One that is named by an alias of
 * libvirt's is the same by its MAC or address, and by whether it is a host device: twins have one MAC.
 */
function findDefined(
  name: string,
  selector: string,
  { live: mayLack, planning, host }: Where & { readonly planning: Planning; readonly host: HotplugHost },
): { readonly uuid: string; readonly xml: string } | undefined {
  const defined = host.findDefinition(name);
  if (defined?.uuid === undefined) throw new ActualnetError('GUEST_UNKNOWN', `guest '${name}' has no definition`);
  const viewOf = (domain: Domain) => guestAtHand(domain, planning).view;
  const given = new Set([...defined.interfaces, ...defined.hostdevs].flatMap(({ alias }) => alias ?? []));
  const running = host.findGuest(name);
  const named = running && listDevices(running, viewOf(running)).find(({ alias }) => alias === selector);
  const isMeant = (each: Found) => {
    if (given.has(selector)) return each.alias === selector;
    if (named === undefined) return each.mac === selector.toLowerCase() || each.address === selector.toLowerCase();
    return named.mac === undefined
      ? each.mac === undefined && each.address === named.address
      : each.mac === named.mac && each.isHostDevice === named.isHostDevice;
  };
  const [found, ...others] = listDevices(defined, viewOf(defined)).filter(isMeant);
  if (others.length > 0)
    throw new ActualnetError('DEVICE_MISSING', `the definition of guest '${name}' has several devices '${selector}'`, {
      hint: 'give the alias',
    });
  if (found !== undefined) return { uuid: defined.uuid, xml: found.element.outerXml };
  if (mayLack) return undefined;
  throw new ActualnetError('DEVICE_MISSING', `the definition of guest '${name}' has no device '${selector}'`);
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
  name: string,
  found: Found,
  { limitMs, host }: { readonly limitMs: number; readonly host: HotplugHost },
): Promise<boolean> {
  try {
    const { domain } = await readLive(name, host);
    await host.virsh(unplugCommand(domain.uuid, found));
  } catch (cause) {
    const error = asActualnetError(cause);
    // Somebody has asked before, and the guest has not answered.
    if (!/already in the process of unplug/.test(error.message)) throw error;
    host.say('it was asked for before');
  }
  const beganMs = host.now();
  let toldMs = beganMs;
  for (;;) {
    const domain = host.findGuest(name);
    if (domain === undefined || !(await isListed(name, found, host))) return true;
    const nowMs = host.now();
    if (nowMs - beganMs >= limitMs) return false;
    if (nowMs - toldMs >= tellMs) {
      host.say(`waiting for the guest to let go of '${found.alias}' (${Math.round((nowMs - beganMs) / 1000)} s)`);
      toldMs = nowMs;
    }
    await host.pause(lookMs);
  }
}

/** Throws what keeps it from being told: that would be no reason to call the device gone. */
async function isListed(name: string, { alias, mac }: Found, host: HotplugHost): Promise<boolean> {
  const live = await readLive(name, host).catch(error => {
    if (asActualnetError(error).code === 'GUEST_UNKNOWN') return undefined;
    throw error;
  });
  return (
    live !== undefined && listDevices(live.domain, live.view).some(each => each.alias === alias && each.mac === mac)
  );
}

/** It is in neither list; the host device is back and the port is deleted. What is not so is told: nothing here can mend it. */
async function verifyGone(name: string, { address, mac, managed }: Found, host: HotplugHost): Promise<void> {
  const live = await readLive(name, host).catch(() => undefined);
  if (live === undefined) return;
  for (const line of checkHostdevs(live.view)) host.say(`finding: ${line}`);
  const { effects } = await host.planning();
  const device = address === undefined || !managed ? undefined : (await effects.view({})).pci(address);
  if (device !== undefined && isOnVfio(device)) host.say(`finding: ${address} is still bound to '${device.driver}'`);
  const ports = recordOf(live.domain.uuid, host)?.ports ?? [];
  const used = new Set(live.domain.interfaces.map(({ source }) => source.portid));
  const left = ports.find(port => port.mac === mac && !used.has(port.uuid));
  if (left !== undefined) host.say(`finding: its port ${left.uuid} of network '${left.network}' is not deleted`);
}
