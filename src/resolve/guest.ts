import type { Domain } from '../model/domain.ts';
import type { Interface, InterfaceType } from '../model/interface.ts';
import type { PciAddress } from '../model/pci-address.ts';
import { dropUndefined } from '../model/values.ts';
import { ActualnetError, asActualnetError } from '../report/error.ts';
import { type Actual, actualTypeOf, describeActual, recordedActual } from './actual.ts';
import { allocate } from './allocate.ts';
import type { NetworkState } from './network-state.ts';
import { validateActual } from './validate.ts';
import { hasDriverModel, hasIommufd, type LibvirtVersion } from './version.ts';
import { completeVirtualPort } from './virtual-port.ts';

/** Finds a network by name: libvirt looks networks up by name, never by uuid. Throws what keeps it from knowing. */
export type NetworkLookup = (name: string) => NetworkState | undefined;

/** What resolving needs besides the document; the version is asked for only where libvirt versions differ. */
export interface GuestResolutionContext {
  readonly findNetwork: NetworkLookup;
  readonly version: () => LibvirtVersion;
}

export interface InterfaceResolution {
  readonly iface: Interface;
  /** Known even when nothing can be allocated: it decides the alias. Undefined when the network is not known. */
  readonly actualType: InterfaceType | undefined;
  readonly actual: Actual | undefined;
  readonly because: readonly string[];
  readonly warnings: readonly string[];
  readonly error?: ActualnetError;
}

/**
 * What every interface of `domain` will be here, in document order, and why. Interfaces are allocated one after the
 * other, so two of them never get the same exclusive device. What cannot be had is an `error` of that interface.
 */
export function resolveGuest(domain: Domain, context: GuestResolutionContext): InterfaceResolution[] {
  const { findNetwork, version } = context;
  const validating = { version, hypervisor: domain.hypervisor };
  const lookUp = rememberLookups(findNetwork);
  const states = new Map<string, NetworkState>();
  const taken = new Set<PciAddress>(hostAddresses(domain));
  return domain.interfaces.map(iface => {
    const name = iface.source.network ?? '';
    const recorded = recordedActual(iface);
    if (recorded !== undefined) return resolveRecorded(iface, recorded, validating);
    const found = lookUp(name);
    if (found instanceof ActualnetError) return unknownNetwork(iface, found);
    const state = states.get(name) ?? found;
    const actualType = actualTypeOf(state.network);
    try {
      const allocation = allocate(state, iface);
      const { because, warnings } = allocation;
      const actual = asRead(withIommufd(allocation.actual, domain), version);
      validateActual(iface, actual, validating);
      if (actual.type === 'hostdev' && actual.address !== undefined) takeAddress(taken, actual.address, state);
      states.set(name, allocation.state);
      return { iface, actualType, actual, because, warnings };
    } catch (cause) {
      const because = [`${state.network.owner} makes the actual type ${actualType}`];
      return { iface, actualType, actual: undefined, because, warnings: [], error: interfaceError(iface, cause) };
    }
  });
}

/** The guest's own word counts where the network has none. */
function withIommufd(actual: Actual, { iommufd }: Domain): Actual {
  return actual.type === 'hostdev' && iommufd ? { ...actual, iommufd: actual.iommufd ?? true } : actual;
}

/** What an older libvirt does not read of a network is not there for it. */
function asRead(actual: Actual, version: () => LibvirtVersion): Actual {
  if (actual.type !== 'hostdev' || (actual.driverModel ?? actual.iommufd) === undefined) return actual;
  const { driverModel, iommufd, ...known } = actual;
  return dropUndefined({
    ...known,
    driverModel: hasDriverModel(version()) ? driverModel : undefined,
    iommufd: hasIommufd(version()) ? iommufd : undefined,
  });
}

function resolveRecorded(
  iface: Interface,
  actual: Actual,
  validating: Parameters<typeof validateActual>[2],
): InterfaceResolution {
  const allocated = iface.actual !== undefined || iface.source.portid !== undefined || iface.type === 'network';
  const because = allocated
    ? [`libvirt has connected it already: ${describeActual(actual)}`]
    : [`the configured type '${iface.type}' is the actual type: ${describeActual(actual)}`];
  const known = { iface, actualType: actual.type, because, warnings: [] };
  try {
    if (allocated) return { ...known, actual };
    // libvirt asks this of what it does not allocate, too, while it parses the document.
    const virtualport = actual.virtualport && completeVirtualPort(actual.virtualport);
    validateActual(iface, actual, validating);
    const resolved = dropUndefined({ ...actual, virtualport });
    return { ...known, actual: resolved, warnings: warningsOf(resolved) };
  } catch (cause) {
    return { ...known, actual: undefined, error: interfaceError(iface, cause) };
  }
}

/** libvirt plugs a tap in for Open vSwitch, midonet or no virtualport, and starts the guest all the same. */
function warningsOf({ type, virtualport }: Actual): string[] {
  const port = virtualport?.type;
  if (type !== 'bridge' || (port !== '802.1Qbg' && port !== '802.1Qbh')) return [];
  return [`with a virtualport of type '${port}' libvirt plugs its tap into no bridge`];
}

/** libvirt treats an interface whose network it cannot look up as "not a host device" and fails at allocation. */
function unknownNetwork(iface: Interface, cause: ActualnetError): InterfaceResolution {
  const because = ['its network cannot be looked up, so libvirt takes it for anything but a host device'];
  return {
    iface,
    actualType: undefined,
    actual: undefined,
    because,
    warnings: [],
    error: interfaceError(iface, cause),
  };
}

/** Asks once for each network; a failure is an answer about that network and not about the guest. */
function rememberLookups(findNetwork: NetworkLookup): (name: string) => NetworkState | ActualnetError {
  const answers = new Map<string, NetworkState | ActualnetError>();
  return name => {
    const answer = answers.get(name) ?? lookUpOnce(findNetwork, name);
    answers.set(name, answer);
    return answer;
  };
}

function lookUpOnce(findNetwork: NetworkLookup, name: string): NetworkState | ActualnetError {
  try {
    const hint = 'define and start it, or give its XML';
    return findNetwork(name) ?? new ActualnetError('NETWORK_UNKNOWN', `network '${name}' is not known here`, { hint });
  } catch (error) {
    return asActualnetError(error);
  }
}

function takeAddress(taken: Set<PciAddress>, address: PciAddress, state: NetworkState): void {
  if (taken.has(address)) {
    throw new ActualnetError(
      'DEVICE_TWICE',
      `VF ${address} from ${state.network.owner} is already assigned to this guest`,
      {
        hint: 'take the device out of the pool or out of the guest',
      },
    );
  }
  taken.add(address);
}

/** Host devices the document itself names, as interface or as hostdev. */
function hostAddresses(domain: Domain): PciAddress[] {
  const fromInterfaces = domain.interfaces.map(iface => (iface.actual ?? iface).hostDevice?.address);
  const fromHostdevs = domain.hostdevs.map(hostdev => hostdev.address);
  return [...fromInterfaces, ...fromHostdevs].filter(address => address !== undefined);
}

function interfaceError(iface: Interface, cause: unknown): ActualnetError {
  const error = asActualnetError(cause);
  return new ActualnetError(error.code, `${error.message}`, { owner: iface.owner, hint: error.hint, cause });
}
