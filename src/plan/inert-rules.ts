import { type Config, type InterfaceMatch, type InterfaceRule, interfaceSettings } from '../config/types.ts';
import { type DeviceKind, deviceKinds } from '../kernel/settable.ts';
import { refusalForKind } from './settings.ts';

/** The kinds that a rule with such a key can fit; a key that tells nothing of the kind is left out. */
const kindsOf: Readonly<Partial<Record<keyof InterfaceMatch, readonly DeviceKind[]>>> = {
  tap: ['bridge port', 'foreign port', 'loose tap'],
  dev: ['macvtap', 'macvtap on a VF'],
  bridge: ['bridge port', 'foreign port'],
  pf: ['macvtap', 'macvtap on a VF', 'VF'],
  address: ['macvtap', 'macvtap on a VF', 'VF', 'PCI device'],
  network: ['bridge port', 'foreign port', 'macvtap', 'macvtap on a VF', 'VF'],
  portgroup: ['bridge port', 'foreign port', 'macvtap', 'macvtap on a VF', 'VF'],
};

/** A setting without effect, as a JSON pointer into the configuration, and why. */
export interface InertSetting {
  readonly pointer: string;
  readonly why: string;
}

/**
 * Settings in rules that nothing their rule fits can have, whatever the guest. A rule that fits nothing at all is another
 * matter.
 */
export function findInertSettings({ interfaces }: Pick<Config, 'interfaces'>): InertSetting[] {
  return interfaces.flatMap((rule, index) =>
    inertSettingsOf(rule).map(({ setting, why }) => ({ pointer: `/interfaces/${index}/${setting}`, why })),
  );
}

function inertSettingsOf({ match, settings }: InterfaceRule): { setting: string; why: string }[] {
  const keys = Object.keys(match) as (keyof InterfaceMatch)[];
  const kinds = deviceKinds.filter(
    kind => kind !== 'unknown' && keys.every(key => kindsOf[key]?.includes(kind) ?? true),
  );
  if (kinds.length === 0) return [];
  return interfaceSettings.flatMap(setting => {
    const refusals = kinds.map(kind => refusalForKind(kind, setting, settings));
    const whys = [...new Set(refusals.filter(why => why !== undefined))];
    return refusals.every(why => why !== undefined) ? { setting, why: whys.join('; or ') } : [];
  });
}
