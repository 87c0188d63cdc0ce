import { listChoices } from '../config/guest-policy.ts';
import type { Config } from '../config/types.ts';
import { hasBeenTaken, userOf } from '../kernel/device-uses.ts';
import type { HostView, VfRate, VfVlan } from '../kernel/host-view.ts';
import type { Value } from '../kernel/kind.ts';
import type { Change } from '../kernel/registry.ts';
import { type VfSetting, vfSettings } from '../kernel/vf.ts';
import type { PciAddress } from '../model/pci-address.ts';
import type { GuestDevice } from './guest-device.ts';

/** The VF behind a connection. */
export interface VfUse {
  readonly address: PciAddress;
  readonly pf: string;
  readonly vf: number;
  /** libvirt sets its MAC and VLAN and puts them back, the MAC as the VF's link has it, the VLAN without its priority. */
  readonly byLibvirt: boolean;
}

/** A guest's connection is a VF as a host device, or by a macvtap that has the VF's link for itself. */
export function vfOf(
  { hostdev, macvtap }: Pick<GuestDevice, 'hostdev' | 'macvtap'>,
  host: HostView,
): VfUse | undefined {
  const physdev = macvtap?.passthrough ? macvtap.physdev : undefined;
  const address = hostdev?.address ?? (physdev === undefined ? undefined : host.link(physdev)?.pci);
  const pf = address ? host.pci(address)?.pf : undefined;
  const dev = (physdev !== undefined && pf?.ports?.of[physdev]) || pf?.dev;
  if (!address || !pf || !dev) return undefined;
  return { address, pf: dev, vf: pf.vf, byLibvirt: hostdev === undefined || hostdev.as === 'interface' };
}

/** Before libvirt or the guest changes it: what a VF has is kept, to be put back in the end, where it is to be set otherwise. */
export function keepVf(
  device: GuestDevice,
  { config, host, isAsked }: { readonly config: Config; readonly host: HostView; readonly isAsked: boolean },
): Change[] {
  const use = vfOf(device, host);
  if (use === undefined || !(config.hostdevs.restore || isAsked)) return [];
  if (userOf(use.address, host) !== undefined || hasBeenTaken(use, host)) return [];
  const by = use.byLibvirt ? 'libvirt' : 'the guest';
  const changed: readonly VfSetting[] = use.byLibvirt ? ['vf-mac', 'vf-vlan'] : ['vf-mac'];
  // Last come those that others change: undoing goes backwards, and a VF that is trusted may refuse another MAC.
  const others = config.hostdevs.restore ? vfSettings.filter(kind => !changed.includes(kind)) : [];
  const kinds = [...changed, ...others];
  return kinds.map(kind => ({
    subject: { kind, dev: use.pf, vf: use.vf },
    to: null,
    why: `${changed.includes(kind) ? by : 'somebody'} may change it for ${device.name}`,
    shared: true,
    byLibvirt: true,
  }));
}

/** What is asked for a VF, in the order in which drivers take it. The VLAN waits until libvirt has set its own. */
export function setVf(
  device: GuestDevice,
  { config, host, withVlan }: { config: Config; host: HostView; withVlan: boolean },
): Change[] {
  const use = vfOf(device, host);
  if (use === undefined) return [];
  const { trust, spoofchk, queryRss, linkState } = device.settings;
  const wanted: readonly (readonly [VfSetting, Value | undefined])[] = [
    ['vf-trust', trust],
    ['vf-vlan', withVlan ? wantedVlan(device) : undefined],
    ['vf-spoofchk', spoofchk],
    ['vf-query_rss', queryRss],
    ['vf-rate', wantedRate(device)],
    ['vf-state', linkState],
  ];
  return wanted.flatMap(([kind, to]) =>
    to === undefined
      ? []
      : {
          subject: { kind, dev: use.pf, vf: use.vf },
          to,
          why: `${device.name} is to have it`,
          shared: true,
          optional: config.hostdevs.refused === 'warn',
        },
  );
}

const settingsOfVfs = [
  ...(['trust', 'spoofchk', 'queryRss', 'linkState', 'maxTxRate', 'minTxRate'] as const),
  ...(['vlan', 'vlanQos', 'vlanProto'] as const),
];

/** Whether anything is asked for a device that a PF would have to set. */
export function asksForVf({ settings }: GuestDevice): boolean {
  return settingsOfVfs.some(name => settings[name] !== undefined);
}

/** Whether guests may ask for such things in their metadata. */
export function guestsMayAskForVf({ guests }: Config): boolean {
  const choices = listChoices(guests);
  return settingsOfVfs.some(name => choices.has(name));
}

/** libvirt's VLAN with the priority and protocol it cannot set, or ours where it sets none. Without a VLAN neither means anything. */
function wantedVlan({ settings, vlan }: GuestDevice): VfVlan | undefined {
  const { vlanQos, vlanProto } = settings;
  const own = settings.vlan?.length === 1 ? settings.vlan[0] : undefined;
  const id = vlan || own;
  if (id === undefined || (vlan && vlanQos === undefined && vlanProto === undefined)) return undefined;
  return { id, qos: vlanQos ?? 0, proto: vlanProto ?? '802.1Q' };
}

function wantedRate({ settings: { maxTxRate, minTxRate } }: GuestDevice): VfRate | undefined {
  if (maxTxRate === undefined && minTxRate === undefined) return undefined;
  return { max: maxTxRate ?? 0, min: minTxRate ?? 0 };
}
