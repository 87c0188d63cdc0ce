/** A VF's VLAN as a PF holds it; id 0 is none. */
export interface VfVlan {
  readonly id: number;
  readonly qos: number;
  readonly proto: '802.1Q' | '802.1ad';
}

/** In Mbit/s; 0 is no limit. */
export interface VfRate {
  readonly max: number;
  readonly min: number;
}

/** The driver a PCI device is bound to, the one it is reserved for, if any, and the MAC address that a VF's link has from it. */
export interface DriverState {
  readonly driver: string | null;
  readonly override: string | null;
  readonly mac: string | null;
}

export function formatVfVlan({ id, qos, proto }: VfVlan): string {
  if (id === 0) return 'none';
  return `${id}${qos === 0 ? '' : ` qos ${qos}`}${proto === '802.1Q' ? '' : ` proto ${proto}`}`;
}

export function parseVfVlan(text: string): VfVlan {
  const [, id = '0', qos = '0', proto = '802.1Q'] = /^(\d+)(?: qos (\d+))?(?: proto (\S+))?$/.exec(text) ?? [];
  return { id: Number(id), qos: Number(qos), proto: proto === '802.1ad' ? proto : '802.1Q' };
}

export function formatVfRate({ max, min }: VfRate): string {
  return `max ${max} min ${min}`;
}

export function parseVfRate(text: string): VfRate {
  const [, max = '0', min = '0'] = /^max (\d+) min (\d+)$/.exec(text) ?? [];
  return { max: Number(max), min: Number(min) };
}

export function formatDriver({ driver, override, mac }: DriverState): string | null {
  if (driver === null && override === null) return null;
  const words = [override === null ? '' : ` override ${override}`, mac === null ? '' : ` mac ${mac}`];
  return `${driver ?? 'none'}${words.join('')}`;
}

export function parseDriver(value: string | null): DriverState {
  const [, driver = 'none', override = null, mac = null] =
    /^(\S+)(?: override (\S+))?(?: mac (\S+))?$/.exec(value ?? 'none') ?? [];
  return { driver: driver === 'none' ? null : driver, override, mac };
}

/** Whether a driver has refused to take back the all-zero MAC that a VF began with; some never do. */
export function isZeroMacRefused(mac: string, message: string): boolean {
  return /^[0:]+$/.test(mac) && /Invalid argument|Cannot assign|not supported/.test(message);
}
