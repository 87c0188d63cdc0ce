import { foldRecord } from '../apply/record.ts';
import { isHotplugging } from '../host/hotplugs.ts';
import type { Memory } from '../host/memory.ts';
import type { HostPaths } from '../host/paths.ts';
import type { DeviceFollowing } from '../witness/follow-devices.ts';

/** This host, for following its guests' devices. */
export function deviceFollowing(
  paths: HostPaths,
  { memory, planning, log }: { readonly memory: Memory } & Pick<DeviceFollowing, 'planning' | 'log'>,
): DeviceFollowing {
  return {
    planning,
    log,
    findRecord: guest => foldRecord(guest, memory.readRecord(guest)),
    note({ uuid, name }, view, findings) {
      if (uuid === undefined) return;
      const line = { at: new Date().toISOString(), op: 'devices', name, view };
      memory.appendRecord(uuid, findings.length > 0 ? { ...line, findings } : line);
    },
    isAttaching: guest => isHotplugging(paths, guest),
  };
}
