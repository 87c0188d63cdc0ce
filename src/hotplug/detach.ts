import { guestAtHand } from '../apply/guest.ts';
import { isOnVfio } from '../plan/host-view.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { type Found, findDevice, listDevices } from './find.ts';
import type { HotplugHost, Where } from './host.ts';
import { holding, readLive, recordOf } from './settle.ts';

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
  if (where.config) await fromDefinition(name, selector, { dryRun, mayLack: where.live, host });
  if (!where.live) return;
  const { domain, view } = await readLive(name, host);
  const found = findDevice(domain, view, selector);
  refuseUnpluggable(found, listDevices(domain, view), domain.owner);
  if (dryRun) {
    const back = found.address === undefined ? [] : [`${found.address} is given back, with the settings it had`];
    const steps = [
      `virsh ${unplugCommand(name, found).join(' ')}`,
      'the guest lets go',
      ...back,
      'the record is brought up to date',
    ];
    for (const step of steps) host.say(step);
    return;
  }
  await holding(name, host, async () => {
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

/** The definition has no aliases of libvirt's; a device is found there by what an administrator wrote. */
async function fromDefinition(
  name: string,
  selector: string,
  { dryRun, mayLack, host }: { readonly dryRun: boolean; readonly mayLack: boolean; readonly host: HotplugHost },
): Promise<void> {
  const defined = host.findDefinition(name);
  if (defined === undefined) throw new ActualnetError('GUEST_UNKNOWN', `guest '${name}' has no definition`);
  const { view } = guestAtHand(defined, await host.planning());
  const given = new Set([...defined.interfaces, ...defined.hostdevs].flatMap(({ alias }) => alias ?? []));
  const live = host.findGuest(name);
  // Named by an alias of libvirt's, it is the same device by its MAC or address.
  const running =
    live && listDevices(live, guestAtHand(live, await host.planning()).view).find(each => each.alias === selector);
  const key = given.has(selector) ? selector : (running?.mac ?? running?.address ?? selector);
  const named = listDevices(defined, view).map(each => (given.has(each.alias) ? each : { ...each, alias: '' }));
  const found = named.find(
    each => [each.alias, each.mac, each.address].includes(key.toLowerCase()) || each.alias === key,
  );
  if (found === undefined) {
    if (mayLack && running !== undefined) return;
    throw new ActualnetError('DEVICE_MISSING', `the definition of guest '${name}' has no device '${selector}'`);
  }
  const command = ['detach-device', '--domain', name, '--config'];
  host.say(`virsh ${command.join(' ')}`);
  if (!dryRun) await host.virsh(command, found.element.outerXml);
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

function unplugCommand(name: string, { alias }: Found): string[] {
  return ['detach-device-alias', '--domain', name, '--alias', alias, '--live'];
}

/** Asks the guest to let go, and waits. Answers whether it has. */
export async function unplug(
  name: string,
  found: Found,
  { limitMs, host }: { readonly limitMs: number; readonly host: HotplugHost },
): Promise<boolean> {
  try {
    await host.virsh(unplugCommand(name, found));
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

async function isListed(name: string, { alias, mac }: Found, host: HotplugHost): Promise<boolean> {
  const live = await readLive(name, host).catch(() => undefined);
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
