import { describeActual } from '../resolve/actual.ts';
import type { GuestView, HostdevView, InterfaceView } from './guest-view.ts';

/** What has become of a running guest's devices. */
export interface DeviceNews {
  /** A line for each device that came, went, or is connected to something else. */
  readonly news: readonly string[];
  /** What the administrator should know of it. */
  readonly findings: readonly string[];
  /** Those that came or are connected to something else: interfaces by MAC, host devices by address. */
  readonly fresh: ReadonlySet<string>;
}

/** Compares a guest's devices with those it had, by alias and MAC: two may have one MAC, and an alias may be used again. */
export function compareDevices(before: GuestView | null, now: GuestView): DeviceNews {
  const was = new Map(before?.interfaces.map(iface => [keyOf(iface), iface]));
  const is = new Set(now.interfaces.map(keyOf));
  const plain = (view: GuestView | null) => view?.hostdevs.filter(entry => entry.interface === null) ?? [];
  const known = new Set(plain(before).map(nameOfHostdev));
  const present = new Set(plain(now).map(nameOfHostdev));
  const findings: string[] = [];
  const fresh = now.interfaces.flatMap(iface => {
    const earlier = was.get(keyOf(iface));
    return earlier === undefined || whatChanged(earlier, iface).length > 0 ? (iface.mac ?? []) : [];
  });
  const changed = now.interfaces.flatMap(iface => {
    const earlier = was.get(keyOf(iface));
    if (earlier === undefined) return [`${nameOf(iface)} attached as '${iface.alias}': ${place(iface)}`];
    if (hasLostNetwork(earlier, iface)) {
      findings.push(
        `${nameOf(iface)}: an update of it has made a plain bridge interface of its connection to network '${earlier.network}': its port is deleted, and the network's settings no longer apply (hint: detach it and attach it to the network again)`,
      );
    }
    return whatChanged(earlier, iface).map(change => `${nameOf(iface)} ('${iface.alias}') ${change}`);
  });
  return {
    news: [
      ...[...was].filter(([key]) => !is.has(key)).map(([, iface]) => `${nameOf(iface)} ('${iface.alias}') detached`),
      ...[...known].filter(name => !present.has(name)).map(name => `${name} detached`),
      ...changed,
      ...[...present].filter(name => !known.has(name)).map(name => `${name} attached`),
    ],
    findings,
    fresh: new Set([
      ...fresh,
      ...plain(now).flatMap(entry => (known.has(nameOfHostdev(entry)) ? [] : (entry.address ?? []))),
    ]),
  };
}

/** libvirt's own doing: a change of such an interface's link state is enough. */
function hasLostNetwork(before: InterfaceView, now: InterfaceView): boolean {
  return before.network !== null && now.network === null && now.type === 'bridge';
}

const keyOf = ({ mac, alias }: InterfaceView) => `${mac} ${alias}`;
const nameOf = ({ mac, index }: InterfaceView) => `interface ${mac ?? index}`;
const nameOfHostdev = ({ address, alias, type }: HostdevView) => `${type} host device ${address ?? ''} ('${alias}')`;

/** An update changes the connection. Another link is another device, although it got the alias of one that is gone. */
function whatChanged(was: InterfaceView, is: InterfaceView): string[] {
  if (place(was) !== place(is)) return [`was ${place(was)} and is ${place(is)}`];
  if (was.dev === undefined || is.dev === undefined || was.dev === is.dev) return [];
  return [`was exchanged: its link was '${was.dev}' and is '${is.dev}'`];
}

function place({ actual, network, portgroup }: InterfaceView): string {
  const what = actual === null ? 'unknown' : describeActual(actual);
  const group = portgroup === null ? '' : `, portgroup '${portgroup}'`;
  return network === null ? what : `${what} of network '${network}'${group}`;
}
