import { parseUuid, type Uuid } from '../model/values.ts';

/** One host's part in a migration: when the guest's MACs were opened or closed there. Times in milliseconds since 1970. */
export interface CutOver {
  readonly guest: Uuid;
  readonly name: string;
  /** They became reachable here; otherwise unreachable. */
  readonly reachable: boolean;
  /** The event, in libvirt's words: `Suspended Migrated`. */
  readonly cause: string;
  readonly heardMs: number;
  /** Between these two the change happened. */
  readonly beganMs: number;
  readonly doneMs: number;
  readonly macs: readonly string[];
}

/** The two sides of a migration, as far as they are known, for one MAC. */
export interface Migration {
  readonly guest: Uuid;
  readonly name: string;
  readonly mac: string;
  readonly closed: CutOver | undefined;
  readonly opened: CutOver | undefined;
  /** From closed to open: at least and at most this long; negative where it was open on both. */
  readonly gapMs: { readonly least: number; readonly most: number } | undefined;
}

/** Lines of a file as cut-overs; what is none is passed over. */
export function readCutOvers(lines: readonly unknown[]): CutOver[] {
  return lines.filter(isCutOver);
}

function isCutOver(line: unknown): line is CutOver {
  const { guest, name, reachable, cause, heardMs, beganMs, doneMs, macs } = (line ?? {}) as Record<string, unknown>;
  const isText = [name, cause].every(value => typeof value === 'string');
  const isTime = [heardMs, beganMs, doneMs].every(value => typeof value === 'number' && Number.isFinite(value));
  const isGuest = typeof guest === 'string' && parseUuid(guest) === guest;
  return isGuest && isText && isTime && typeof reachable === 'boolean' && isTexts(macs);
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(each => typeof each === 'string');
}

/**
 * Whether the guest's newest part here says the same, in the life that began at `bornMs`: the state of a guest that came is
 * read again by every witness that begins, and two events tell of a migration by post-copy.
 */
export function isTold(parts: readonly CutOver[], { guest, reachable }: CutOver, bornMs: number): boolean {
  const last = parts.findLast(part => part.guest === guest);
  return last !== undefined && last.reachable === reachable && last.doneMs >= bornMs;
}

/** A migration's two ends are no further apart than this. */
const farthestMs = 60_000;

/**
 * Joins the parts of hosts to migrations, the newest last. The part of a source belongs to the nearest one of a
 * destination for the same MAC of the same guest. A source that opens its guest again after a failed migration is no
 * destination, and the closing before it belongs to none.
 */
export function joinCutOvers(here: readonly CutOver[], there: readonly CutOver[]): Migration[] {
  const parts = [here, there].flatMap((side, index) =>
    side.flatMap(part => part.macs.map(mac => ({ ...part, mac, side: index, taken: false }))),
  );
  type Part = (typeof parts)[number];
  const isSame = (a: Part, b: Part) => a.guest === b.guest && a.mac === b.mac;
  const distance = (a: Part, b: Part) => Math.abs(a.heardMs - b.heardMs);
  const rows: Migration[] = [];
  const row = (part: Part, closed: CutOver | undefined, opened: CutOver | undefined): Migration => ({
    guest: part.guest,
    name: part.name,
    mac: part.mac,
    closed,
    opened,
    gapMs: closed &&
      opened && { least: opened.beganMs - closed.doneMs, most: Math.max(0, opened.doneMs - closed.beganMs) },
  });
  for (const part of [...parts].sort((a, b) => a.heardMs - b.heardMs)) {
    if (part.taken) continue;
    part.taken = true;
    const others = parts.filter(
      other =>
        !other.taken &&
        isSame(part, other) &&
        other.side !== part.side &&
        other.reachable !== part.reachable &&
        distance(part, other) < farthestMs,
    );
    const other = others.sort((a, b) => distance(part, a) - distance(part, b))[0];
    if (other !== undefined) other.taken = true;
    rows.push(part.reachable ? row(part, other, part) : row(part, part, other));
  }
  return rows;
}
