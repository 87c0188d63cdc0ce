import { type DeviceUse, findUseOfLink, openVswitch, removalOf, takenUses } from '../kernel/device-uses.ts';
import type { HostView, LinkState } from '../kernel/host-view.ts';
import { ActualnetError } from '../report/error.ts';
import { type Blocker, type BlockerContext, isMeant, refusal } from './blocker.ts';
import type { GuestDevice } from './guest-device.ts';

/** What keeps an interface from being plugged into its bridge, or a macvtap from being made upon its device. */
export function linkBlockers(device: GuestDevice, context: BlockerContext): Blocker[] {
  const { bridge, macvtap, type, otherSwitch } = device;
  if (!context.host.hasLinks) return [];
  if (macvtap !== undefined) return macvtapBlockers(device, macvtap, context);
  return type === 'bridge' && bridge !== undefined && !otherSwitch ? bridgeBlockers(device, bridge, context) : [];
}

function bridgeBlockers(device: GuestDevice, bridge: string, { config, host }: BlockerContext): Blocker[] {
  const link = host.link(bridge);
  if (link?.isBridge || Object.hasOwn(config.provide.bridges, bridge)) return [];
  const [what, hint] =
    link === undefined
      ? [`there is no bridge '${bridge}'`, howToMake]
      : [`'${bridge}' is no bridge of the kernel's`, "one of Open vSwitch needs <virtualport type='openvswitch'/>"];
  return [refusal(device, new ActualnetError('DEVICE_MISSING', what, { hint }))];
}

const howToMake = "make it, or add it to 'provide' in the configuration";

function macvtapBlockers(
  device: GuestDevice,
  { physdev, passthrough }: NonNullable<GuestDevice['macvtap']>,
  context: BlockerContext,
): Blocker[] {
  const { config, host } = context;
  const link = host.link(physdev);
  if (link === undefined) {
    const { vlans, bridges } = config.provide;
    if (Object.hasOwn(vlans, physdev) || Object.hasOwn(bridges, physdev)) return [];
    const what = `there is no device '${physdev}' for its macvtap`;
    return [refusal(device, new ActualnetError('DEVICE_MISSING', what, { hint: howToMake }))];
  }
  const say = (why: string, hint: string | undefined, refuses = true): Blocker => {
    const error = new ActualnetError('DEVICE_IN_USE', `'${physdev}', the device below its macvtap, ${why}`, { hint });
    return { device, error, refuses };
  };
  const use = passthrough ? findUseOfLink(physdev, host, takenUses) : busyWith(link, host);
  if (use !== undefined)
    return [say(`is in use by ${use.who}`, use.remedy, isKept(use, link) || !isMeant(use, device, context))];
  const same = passthrough ? undefined : withSameMac(device, link, host);
  return same === undefined ? [] : [say(same.why, same.hint, same.refuses)];
}

/** The kernel makes nothing upon a link whose frames go elsewhere: a bridge's port, a bond's member, Open vSwitch's port. */
function isKept({ kind }: DeviceUse, { isBondMember, master }: LinkState): boolean {
  return kind === 'macvtap' || kind === 'port' || isBondMember || master === openVswitch;
}

function busyWith(link: LinkState, host: HostView): DeviceUse | undefined {
  const use = findUseOfLink(link.dev, host, ['port', 'member']);
  if (use !== undefined) return isKept(use, link) ? use : undefined;
  // A macvtap in passthrough mode has its device's MAC, as no other can, and has it for itself.
  const only = link.uppers.find(upper => host.link(upper)?.isMacvtap && host.link(upper)?.mac === link.mac);
  if (only === undefined) return undefined;
  const who = `'${only}', through which it is passed to a guest`;
  return { kind: 'macvtap', who, why: `it is used by ${who}`, remedy: removalOf(only, host) };
}

/** Of those upon one device only one can be up with a MAC (the kernel's macvlan_open), and none with the device's own. */
function withSameMac({ mac }: GuestDevice, link: LinkState, host: HostView) {
  if (mac === undefined) return undefined;
  if (link.mac === mac) return { why: `has the same MAC ${mac}`, hint: 'give the guest another one', refuses: true };
  const other = link.uppers.map(upper => host.link(upper)).find(upper => upper?.isMacvtap && upper.mac === mac);
  if (other === undefined) return undefined;
  const why = `carries '${other.dev}' with the same MAC ${mac}${other.up ? '' : ', which is down'}`;
  return { why, hint: removalOf(other.dev, host), refuses: other.up };
}
