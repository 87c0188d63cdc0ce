/** What a phase would do to the host, as data; described by schemas/plan.schema.json. */
export interface Plan {
  readonly version: 1;
  readonly guest: string;
  readonly phase: string;
  readonly actions: readonly never[];
}

/** The plan of one qemu hook call. No phase changes the host yet, so every plan is empty. */
export function planQemu(guest: string, phase: string): Plan {
  return { version: 1, guest, phase, actions: [] };
}
