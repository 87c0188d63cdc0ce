import type { Effects } from '../apply/effects.ts';
import { listUsers } from '../apply/users.ts';
import { hostEffects, ownPrograms, type Programs } from '../host/effects.ts';
import { readRunningGuests, readRunningNetworks } from '../host/libvirt-files.ts';
import { fileMemory } from '../host/memory.ts';
import type { HostPaths } from '../host/paths.ts';
import type { Patience } from '../host/patience.ts';
import { sharedNameOf } from '../plan/change.ts';
import { isGone } from './survivors.ts';

/** This host, with what is written about its guests. */
export function ownEffects(
  paths: HostPaths,
  clock: () => number,
  programs: Programs = ownPrograms,
  patience?: Patience,
): Effects {
  const memory = fileMemory(paths, clock);
  const isGoneGuest = (guest: string) => isGone(guest, { paths, memory, nowMs: clock() });
  const effects: Effects = hostEffects(paths, clock, {
    programs,
    patience,
    guests: {
      isGone: isGoneGuest,
      isKeptThrough: (dev, vf) => effects.sharedNames().includes(sharedNameOf({ kind: 'vf-mac', dev, vf })),
      claimants() {
        const sources = {
          memory,
          running: () => readRunningGuests(paths),
          networks: () => readRunningNetworks(paths),
        };
        const users = listUsers(sources, guest => guest !== undefined && !isGoneGuest(guest));
        return device => users.get(device)?.[0]?.who;
      },
    },
  });
  return effects;
}
