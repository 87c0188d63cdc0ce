import { isPciAddress, type PciAddress } from '../model/pci-address.ts';
import { ActualnetError } from '../report/error.ts';
import { userOf } from './device-uses.ts';
import type { DriverState } from './host-view.ts';
import type { Kind } from './kind.ts';
import { macAddress } from './words.ts';

interface DriverSubject {
  readonly kind: 'driver';
  readonly dev: PciAddress;
}

const none: DriverState = { driver: null, override: null, mac: null };

/** The driver of a PCI device, and the one that it is reserved for (`driver_override`); null is neither. */
export const driver: Kind<DriverSubject, DriverState> = {
  belongsTo: 'card',
  read(stored) {
    if (typeof stored === 'string') return ofText(stored);
    return stored === null || (typeof stored === 'object' && 'driver' in stored) ? (stored as DriverState) : undefined;
  },
  describe: ({ dev }, to) => `${dev} ${to === null ? 'without a driver' : `on driver ${describeDriver(to)}`}`,
  describeDoing: ({ dev }, to) =>
    to === null ? `take ${dev} from its driver` : `bind ${dev} to driver ${describeDriver(to)}`,
  describeValue: describeDriver,
  needs: ({ dev }) => ({ drivers: [dev] }),
  observe: ({ dev }, host) => host.pci(dev) && host.driver(dev),
  isEqual: (one, other) => describeDriver(one ?? none) === describeDriver(other ?? none),
  command({ dev }, to) {
    if (!isPciAddress(dev)) throw new ActualnetError('BUG', `'${dev}' is not a PCI address`);
    const { driver, override, mac } = to ?? none;
    const state = {
      driver: driver === null ? null : driverName(driver),
      override: override === null ? null : driverName(override),
      mac: mac === null ? null : macAddress(mac),
    };
    const line = driver === null ? `unbind ${dev}` : `bind ${dev} ${describeDriver(state)}`;
    return { tool: 'pci', line, action: { do: 'bind', address: dev, ...state } };
  },
  blocker({ dev }, _, host) {
    const user = userOf(dev, host);
    return user && `it is in use by ${user}`;
  },
  // Reserved as we wanted it, but not bound, or not to that.
  isHalfDone: (observed, to) => to?.override != null && observed?.override === to.override,
};

/** `vfio-pci override vfio-pci`. */
function describeDriver({ driver, override, mac }: DriverState): string {
  const words = [override === null ? '' : ` override ${override}`, mac === null ? '' : ` mac ${mac}`];
  return `${driver ?? 'none'}${words.join('')}`;
}

function driverName(name: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(name)) return name;
  throw new ActualnetError('BUG', `'${name}' is not the name of a driver`);
}

/** As versions before 0.2 wrote it. */
function ofText(text: string): DriverState {
  const [, driver = 'none', override = null, mac = null] =
    /^(\S+)(?: override (\S+))?(?: mac (\S+))?$/.exec(text) ?? [];
  return { driver: driver === 'none' ? null : driver, override, mac };
}
