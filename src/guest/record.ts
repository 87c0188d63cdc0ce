import { foldLedger } from '../journal/ledger.ts';
import { describeChange } from '../kernel/registry.ts';
import type { NetworkPort } from '../model/network-port.ts';
import type { PciAddress } from '../model/pci-address.ts';
import type { GuestName } from '../model/values.ts';
import { parseUuid, type Uuid } from '../model/values.ts';
import type { Actual } from '../resolve/actual.ts';
import type { GuestView, HostdevView, InterfaceView } from '../transform/guest-view.ts';

/** One line of a guest's record: a call and what was learnt from it. Times are ISO 8601. */
export type RecordLine =
  | {
      readonly at: string;
      readonly op: string;
      readonly name: GuestName;
      /**
       * What was predicted (`prepare`, `migrate`, `restore`) or what libvirt shows (`start`, `started`, `reconnect`; `devices`
       * when devices came or went, `alone` when one of two QEMUs ended, for which there is no operation).
       */
      readonly view?: GuestView;
      readonly findings?: readonly string[];
      /** The guest comes from a migration or a saved image. */
      readonly incoming?: boolean;
      /** It comes while its source runs on this same host: the next end is that of only one of the two. */
      readonly beside?: boolean;
      /** How its document was rewritten for this host, and the VFs it was promised. */
      readonly rewritten?: readonly string[];
      readonly picks?: readonly PciAddress[];
      /** All that could not be set when they came. */
      readonly unset?: readonly string[];
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
  readonly name: GuestName;
  /** The last operation of the qemu hook, or `announced` before the first. */
  readonly phase: string;
  readonly since: string;
  readonly incoming: boolean;
  /** Two QEMUs of this host have it, as during a migration within one host. */
  readonly beside: boolean;
  /** How its document was rewritten when it came, a line for each change. */
  readonly rewritten: readonly string[];
  /** VFs of this host that it was promised then. */
  readonly picks: readonly PciAddress[];
  readonly predicted: GuestView | null;
  readonly actual: GuestView | null;
  readonly ports: readonly PortView[];
  readonly findings: readonly string[];
  /** Devices that came and could not be set yet, interfaces by MAC, host devices by address: they are tried again. */
  readonly unset: readonly string[];
  /** What actualnet has changed on the host for this guest alone, and will undo. */
  readonly applied: readonly string[];
}

/** The operations whose document shows what libvirt has chosen. */
const actualOperations: readonly string[] = ['start', 'started', 'reconnect', 'devices'];

/** Adds up a record's lines, and those of the guest's ledger; lines that are no record lines (a torn one, another version's) are passed over. */
export function foldRecord(
  uuid: Uuid,
  lines: readonly unknown[],
  ledger: readonly unknown[] = [],
): GuestRecord | undefined {
  let record: GuestRecord | undefined;
  for (const candidate of lines) {
    const line = asRecordLine(candidate);
    if (line === undefined) continue;
    record = foldLine(record ?? emptyRecord(uuid, line.at), line);
  }
  const applied = [...foldLedger(ledger).values()].map(entry => describeChange(entry));
  return record && { ...record, applied };
}

function foldLine(record: GuestRecord, line: RecordLine): GuestRecord {
  if ('port' in line) {
    const others = record.ports.filter(port => port.uuid !== line.port.uuid);
    return { ...record, ports: [...others, line.port], findings: merge(record.findings, line.findings) };
  }
  if ('uuid' in line) return { ...record, ports: record.ports.filter(port => port.uuid !== line.uuid) };
  const view = line.view ?? null;
  // A new life: nothing of an earlier one counts.
  const base = line.op === 'prepare' && view !== null ? emptyRecord(record.uuid, line.at) : record;
  const isActual = actualOperations.includes(line.op);
  return {
    ...base,
    name: line.name,
    ...(line.op === 'devices' || line.op === 'alone' ? {} : { phase: line.op, since: line.at }),
    incoming: base.incoming || line.incoming === true,
    beside: line.beside ?? base.beside,
    rewritten: line.rewritten ?? base.rewritten,
    picks: line.picks ?? base.picks,
    predicted: view !== null && !isActual ? view : base.predicted,
    actual: view !== null && isActual ? view : base.actual,
    findings: merge(base.findings, line.findings ?? []),
    unset: line.unset ?? base.unset,
  };
}

function emptyRecord(uuid: Uuid, since: string): GuestRecord {
  return {
    uuid,
    name: '',
    phase: 'announced',
    since,
    incoming: false,
    beside: false,
    rewritten: [],
    picks: [],
    predicted: null,
    actual: null,
    ports: [],
    findings: [],
    unset: [],
    applied: [],
  };
}

/** Only lines of the right shape count: a file may hold a torn line, another version's, or somebody's. */
function asRecordLine(candidate: unknown): RecordLine | undefined {
  if (!isObject(candidate) || typeof candidate.op !== 'string' || typeof candidate.at !== 'string') return undefined;
  const { op, findings = [], rewritten = [], picks = [], unset = [], view, port, name, uuid } = candidate;
  const isSound =
    [findings, rewritten, picks, unset].every(list => isArrayOf(list, entry => typeof entry === 'string')) &&
    (view === undefined || isView(view)) &&
    (op === 'port-created' ? isPort(port) : op === 'port-deleted' ? isUuid(uuid) : typeof name === 'string');
  return isSound ? (candidate as unknown as RecordLine) : undefined;
}

function isView(view: unknown): boolean {
  if (!isObject(view) || !isObject(view.domain)) return false;
  const isInterface = (entry: unknown) =>
    isObject(entry) && typeof entry.alias === 'string' && (entry.actual === null || isObject(entry.actual));
  const isHostdev = (entry: unknown) => isObject(entry) && typeof entry.alias === 'string';
  return isArrayOf(view.interfaces, isInterface) && isArrayOf(view.hostdevs, isHostdev);
}

function isPort(port: unknown): boolean {
  if (!isObject(port) || !isUuid(port.uuid)) return false;
  return (
    typeof port.network === 'string' && typeof port.mac === 'string' && (port.plug === null || isObject(port.plug))
  );
}

function isUuid(value: unknown): boolean {
  return typeof value === 'string' && parseUuid(value) === value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isArrayOf(value: unknown, isEntry: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isEntry);
}

function merge(known: readonly string[], added: readonly string[]): readonly string[] {
  return [...new Set([...known, ...added])];
}

/** Differences between what was predicted and what libvirt chose, one line each; details nobody could predict are left out. */
export function compareViews(predicted: GuestView, actual: GuestView): string[] {
  const pairs = actual.interfaces.map(iface => ({
    iface,
    was: counterpart(predicted, iface),
  }));
  const counts =
    predicted.interfaces.length === actual.interfaces.length
      ? []
      : [`${actual.interfaces.length} interfaces instead of the ${predicted.interfaces.length} predicted`];
  return [
    ...counts,
    ...pairs.flatMap(({ iface, was }) => {
      const name = `interface ${iface.mac ?? iface.index}`;
      if (was === undefined) return [`${name} was not predicted`];
      const alias =
        iface.alias === was.alias ? [] : [`${name}: libvirt's alias is '${iface.alias}', predicted was '${was.alias}'`];
      return [...alias, ...comparePlaces(name, was, iface), ...compareActuals(name, was.actual, iface.actual)];
    }),
    ...compareHostdevs(predicted, actual),
  ];
}

/** A plain host device must stay what and where it is; one of an interface is compared with it. */
function compareHostdevs(predicted: GuestView, actual: GuestView): string[] {
  const plain = ({ hostdevs }: GuestView) => hostdevs.filter(entry => entry.interface === null);
  const before = plain(predicted);
  return plain(actual).flatMap((entry, index) => {
    const was = before[index];
    const name = `host device ${entry.address ?? index}`;
    if (was === undefined || was.address !== entry.address) return [`${name} was not predicted`];
    const alias =
      was.alias === entry.alias ? [] : [`${name}: libvirt's alias is '${entry.alias}', predicted was '${was.alias}'`];
    return [...alias, ...comparePlaces(name, was, entry)];
  });
}

type Placed = Pick<HostdevView, 'guestAddress'>;

function comparePlaces(name: string, { guestAddress: was }: Placed, { guestAddress: is }: Placed): string[] {
  return was === undefined || is === undefined || was === is
    ? []
    : [`${name}: moved in the guest from ${was} to ${is}`];
}

/** The same for a guest that has been running: interfaces may have come and gone, but one that stayed must not change. */
export function compareRunning(before: GuestView, now: GuestView): string[] {
  const known = new Map(before.interfaces.map(iface => [`${iface.mac} ${iface.alias}`, iface]));
  return now.interfaces.flatMap(iface => {
    const was = known.get(`${iface.mac} ${iface.alias}`);
    return was === undefined ? [] : compareActuals(`interface ${iface.mac ?? iface.index}`, was.actual, iface.actual);
  });
}

/** Compares a port libvirt has just made with the predicted interface it is for. */
export function comparePort(predicted: GuestView, port: PortView): string[] {
  const candidates = predicted.interfaces.filter(({ mac, network }) => mac === port.mac && network === port.network);
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
  if (was === null) return [`${name}: libvirt connected it, although that was not predicted`];
  const field = (actual: Actual, key: string) => (actual as unknown as Record<string, unknown>)[key];
  return comparedKeys.flatMap(key => {
    const [before, now] = [field(was, key), field(is, key)];
    if (before === undefined || now === undefined || before === now) return [];
    return [`${name}: libvirt chose ${key} '${now}', predicted was '${before}'`];
  });
}

/** The interface at the same place, unless it is another one; libvirt never reorders them. */
function counterpart(predicted: GuestView, iface: InterfaceView): InterfaceView | undefined {
  const other = predicted.interfaces[iface.index];
  return other !== undefined && (other.mac === null || other.mac === iface.mac) ? other : undefined;
}

/**
 * The document of a started guest does not say from which network a host device came; what was predicted or noted does. By
 * alias and MAC where devices have come or gone since.
 */
export function withNetworks(view: GuestView, before: GuestRecord | undefined): GuestView {
  const known = [before?.actual, before?.predicted].filter(each => each != null);
  const interfaces = view.interfaces.map(iface => {
    // Only a host device hides its network; a bridge interface without one has none any more.
    if (iface.network !== null || iface.actual?.type !== 'hostdev') return iface;
    const was = known.flatMap(
      each =>
        each.interfaces.find(({ mac, alias }) => mac === iface.mac && alias === iface.alias) ??
        counterpart(each, iface) ??
        [],
    );
    const [first] = was.filter(({ network }) => network !== null);
    return first === undefined ? iface : { ...iface, network: first.network, portgroup: first.portgroup };
  });
  return { ...view, interfaces };
}
