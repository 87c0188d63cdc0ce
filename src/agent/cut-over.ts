import type { GuestName } from '../model/values.ts';
import { parseUuid, type Uuid } from '../model/values.ts';

/** One host's part in a migration: when the guest's MACs were opened or closed there. Times in milliseconds since 1970. */
export interface CutOver {
  readonly guest: Uuid;
  readonly name: GuestName;
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
  readonly name: GuestName;
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
 * read again by every agent that begins, and two events tell of a migration by post-copy.
 */
export function isTold(parts: readonly CutOver[], { guest, reachable }: CutOver, bornMs: number): boolean {
  const last = parts.findLast(part => part.guest === guest);
  return last !== undefined && last.reachable === reachable && last.doneMs >= bornMs;
}

/** A migration's two ends are no further apart than this. */
const farthestMs = 60_000;

/**
 * Joins the parts of hosts to migrations, the newest last. A closing belongs to the nearest opening of the same MAC of the
 * same guest. If that is one of the same host, later, the migration has failed and neither belongs to another host's part.
 */
export function joinCutOvers(here: readonly CutOver[], there: readonly CutOver[]): Migration[] {
  const groups = new Map<string, Part[]>();
  for (const [side, parts] of [here, there].entries()) {
    for (const part of parts) {
      for (const mac of part.macs) {
        const key = `${part.guest} ${mac}`;
        groups.set(key, [...(groups.get(key) ?? []), { ...part, mac, side }]);
      }
    }
  }
  const rows = [...groups.values()].flatMap(joinParts);
  const heardMs = ({ closed, opened }: Migration) => Math.min(...[closed, opened].flatMap(part => part?.heardMs ?? []));
  return rows.sort((a, b) => heardMs(a) - heardMs(b));
}

interface Part extends CutOver {
  readonly mac: string;
  readonly side: number;
}

/** The same for one MAC of one guest. */
function joinParts(parts: readonly Part[]): Migration[] {
  const distance = ([closed, opened]: readonly [Part, Part]) => Math.abs(closed.heardMs - opened.heardMs);
  const pairs = parts
    .filter(({ reachable }) => !reachable)
    .flatMap(closed => parts.filter(({ reachable }) => reachable).map(opened => [closed, opened] as const))
    .filter(([closed, opened]) => closed.side !== opened.side || closed.heardMs <= opened.heardMs)
    .filter(pair => distance(pair) < farthestMs)
    .sort((a, b) => distance(a) - distance(b));
  const other = new Map<Part, Part>();
  for (const [closed, opened] of pairs) {
    if (other.has(closed) || other.has(opened)) continue;
    other.set(closed, opened).set(opened, closed);
  }
  return parts.flatMap(part => {
    const found = other.get(part);
    const joined = found?.side === part.side ? undefined : found;
    if (part.reachable && joined !== undefined) return [];
    return part.reachable ? migration(part, undefined, part) : migration(part, part, joined);
  });
}

function migration({ guest, name, mac }: Part, closed: Part | undefined, opened: Part | undefined): Migration {
  const gapMs = closed &&
    opened && { least: opened.beganMs - closed.doneMs, most: Math.max(0, opened.doneMs - closed.beganMs) };
  return { guest, name, mac, closed, opened, gapMs };
}
