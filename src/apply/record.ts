import type { NetworkPort } from '../model/network-port.ts';
import type { Uuid } from '../model/values.ts';
import type { Actual } from '../resolve/actual.ts';
import type { GuestView, InterfaceView } from '../transform/guest-view.ts';

/** One line of a guest's record: a call and what was learnt from it. Times are ISO 8601. */
export type RecordLine =
  | {
      readonly at: string;
      readonly op: string;
      readonly name: string;
      /** What was foreseen (`prepare`, `migrate`, `restore`) or what libvirt shows (`start`, `started`, `reconnect`). */
      readonly view?: GuestView;
      readonly findings?: readonly string[];
      /** The guest comes from a migration or a saved image. */
      readonly incoming?: boolean;
    }
  | { readonly at: string; readonly op: 'port-created'; readonly port: PortView; readonly findings: readonly string[] }
  | { readonly at: string; readonly op: 'port-deleted'; readonly uuid: Uuid };

/** A network port as the record keeps it. */
export interface PortView {
  readonly uuid: Uuid;
  readonly network: string;
  readonly mac: string;
  readonly plug: NetworkPort['plug'] | null;
}

/** What a guest's record adds up to; described by schemas/status.schema.json. */
export interface GuestRecord {
  readonly uuid: Uuid;
  readonly name: string;
  /** The last operation of the qemu hook, or `announced` before the first. */
  readonly phase: string;
  readonly since: string;
  readonly incoming: boolean;
  readonly foreseen: GuestView | null;
  readonly chosen: GuestView | null;
  readonly ports: readonly PortView[];
  readonly findings: readonly string[];
}

/** The operations whose document shows what libvirt has chosen. */
export const chosenOperations: readonly string[] = ['start', 'started', 'reconnect'];

/** Adds up a record's lines; lines that are no record lines (a torn one, another version's) are passed over. */
export function foldRecord(uuid: Uuid, lines: readonly unknown[]): GuestRecord | undefined {
  let record: GuestRecord | undefined;
  for (const candidate of lines) {
    const line = asRecordLine(candidate);
    if (line === undefined) continue;
    record = foldLine(record ?? emptyRecord(uuid, line.at), line);
  }
  return record;
}

function foldLine(record: GuestRecord, line: RecordLine): GuestRecord {
  if ('port' in line) {
    const others = record.ports.filter(port => port.uuid !== line.port.uuid);
    return { ...record, ports: [...others, line.port], findings: merge(record.findings, line.findings) };
  }
  if ('uuid' in line) return { ...record, ports: record.ports.filter(port => port.uuid !== line.uuid) };
  const view = line.view ?? null;
  return {
    ...record,
    name: line.name,
    phase: line.op,
    since: line.at,
    incoming: record.incoming || line.incoming === true,
    foreseen: view !== null && !chosenOperations.includes(line.op) ? view : record.foreseen,
    chosen: view !== null && chosenOperations.includes(line.op) ? view : record.chosen,
    findings: merge(record.findings, line.findings ?? []),
  };
}

function emptyRecord(uuid: Uuid, since: string): GuestRecord {
  return {
    uuid,
    name: '',
    phase: 'announced',
    since,
    incoming: false,
    foreseen: null,
    chosen: null,
    ports: [],
    findings: [],
  };
}

function asRecordLine(candidate: unknown): RecordLine | undefined {
  if (typeof candidate !== 'object' || candidate === null || !('op' in candidate) || !('at' in candidate))
    return undefined;
  return candidate as RecordLine;
}

function merge(known: readonly string[], added: readonly string[]): readonly string[] {
  return [...new Set([...known, ...added])];
}

/** Differences between what was foreseen and what libvirt chose, one line each; details nobody could foresee are left out. */
export function compareViews(foreseen: GuestView, chosen: GuestView): string[] {
  const pairs = chosen.interfaces.map(iface => ({
    iface,
    was: foreseen.interfaces.find(other => isSame(other, iface)),
  }));
  const counts =
    foreseen.interfaces.length === chosen.interfaces.length
      ? []
      : [`${chosen.interfaces.length} interfaces instead of the ${foreseen.interfaces.length} foreseen`];
  return [
    ...counts,
    ...pairs.flatMap(({ iface, was }) => {
      const name = `interface ${iface.mac ?? iface.index}`;
      if (was === undefined) return [`${name} was not foreseen`];
      const alias =
        iface.alias === was.alias ? [] : [`${name}: libvirt's alias is '${iface.alias}', foreseen was '${was.alias}'`];
      return [...alias, ...compareActuals(name, was.actual, iface.actual)];
    }),
  ];
}

/** Compares a port libvirt has just made with the foreseen interface it is for. */
export function comparePort(foreseen: GuestView, port: PortView): string[] {
  const candidates = foreseen.interfaces.filter(({ mac, network }) => mac === port.mac && network === port.network);
  const [iface] = candidates;
  if (candidates.length !== 1 || iface === undefined || port.plug === null || port.plug === undefined) return [];
  return compareActuals(`interface ${port.mac}`, iface.actual, actualOfPlug(port.plug));
}

function actualOfPlug(plug: NonNullable<NetworkPort['plug']>): Actual {
  return plug.type === 'hostdev-pci' ? { ...plug, type: 'hostdev' } : plug;
}

const comparedKeys = ['type', 'bridge', 'dev', 'mode', 'address', 'managed', 'macTableManager'] as const;

function compareActuals(name: string, was: Actual | null, is: Actual | null): string[] {
  if (is === null) return [];
  if (was === null) return [`${name}: libvirt connected it, although that was not foreseen`];
  const field = (actual: Actual, key: string) => (actual as unknown as Record<string, unknown>)[key];
  return comparedKeys.flatMap(key => {
    const [before, now] = [field(was, key), field(is, key)];
    if (before === undefined || now === undefined || before === now) return [];
    return [`${name}: libvirt chose ${key} '${now}', foreseen was '${before}'`];
  });
}

function isSame(one: InterfaceView, other: InterfaceView): boolean {
  return one.index === other.index && (one.mac === null || one.mac === other.mac);
}
