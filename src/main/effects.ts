import { isGone } from '../guest/liveness.ts';
import { listUsers, type UserSources } from '../guest/users.ts';
import { hostEffects, ownPrograms, type Programs } from '../host/effects.ts';
import { mayHaveHostDevice, readRunningGuests, readRunningPorts } from '../host/libvirt/files.ts';
import { runningGuests } from '../host/libvirt/run-states.ts';
import { remember } from '../host/once.ts';
import type { HostPaths } from '../host/paths.ts';
import type { Patience } from '../host/process/patience.ts';
import { fileMemory, type Memory } from '../host/state/memory.ts';
import type { Effects } from '../journal/effects.ts';
import { sharedNameOf } from '../kernel/registry.ts';
import type { Uuid } from '../model/values.ts';

/** This host, with what is written about its guests. */
export function ownEffects(
  paths: HostPaths,
  clock: () => number,
  programs: Programs = ownPrograms,
  patience?: Patience,
): Effects {
  const memory = fileMemory(paths, clock);
  const isGoneGuest = (guest: string, isRunning = runningGuests(paths)) =>
    isGone(guest, { memory, isRunning, nowMs: clock() });
  const effects: Effects = hostEffects(paths, clock, {
    programs,
    patience,
    guests: {
      isGone: guest => isGoneGuest(guest),
      isKeptThrough: (dev, vf) => effects.sharedNames().includes(sharedNameOf({ kind: 'vf-mac', dev, vf })),
      assignees() {
        const isRunning = runningGuests(paths);
        const isThere = remember((guest: Uuid | undefined) => guest !== undefined && !isGoneGuest(guest, isRunning));
        const users = listUsers(deviceSources(paths, memory), isThere);
        return device => users.get(device)?.[0]?.who;
      },
    },
  });
  return effects;
}

/** Where this host says who has which device; each file is read once, and as a whole only if it may name one. */
export function deviceSources(paths: HostPaths, memory: Memory): UserSources {
  return {
    memory,
    running: () => readRunningGuests(paths, mayHaveHostDevice),
    ports: () => readRunningPorts(paths, mayHaveHostDevice),
  };
}
