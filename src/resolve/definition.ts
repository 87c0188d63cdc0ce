import { type Network, routedModes } from '../model/network.ts';
import { readText } from '../model/values.ts';
import { formatLibvirtVersion, hasDriverModel, hasOpenWithoutIp, type LibvirtVersion } from './version.ts';

/**
 * Why libvirt would not let `network` be defined for what it is made of: bridge, forward devices, addresses and driver
 * (virNetworkDefParseXML and networkValidate). `definitionRefusals` in `validate` is about its settings.
 */
export function structureRefusals(network: Network, version: LibvirtVersion): string[] {
  const { mode, bridge, pool, pf, driver, element } = network;
  const forward = element.child('forward');
  const has = (name: string) => element.child(name) !== undefined;
  const needsIp = mode === 'nat' || mode === 'route' || (mode === 'open' && !hasOpenWithoutIp(version));
  const names = pool.flatMap(device => ('dev' in device ? device.dev : []));
  const drivers = ['vfio', 'kvm', ...(hasDriverModel(version) ? ['xen'] : [])];
  const reasons = [
    mode === 'bridge' && bridge !== undefined && (pool.length > 0 || pf !== undefined)
      ? `it has the bridge '${bridge}' and the forward device '${names[0] ?? pf}', where only one of them is possible`
      : undefined,
    needsIp && !has('ip')
      ? `forward mode '${mode}' needs an <ip>${mode === 'open' ? `; this is libvirt ${formatLibvirtVersion(version)}, since 10.8.0 it does not` : ''}`
      : undefined,
    mode === 'hostdev' && names.length > 0
      ? `its pool has the name '${names[0]}': a network of host devices lists PCI addresses, or one <pf>`
      : undefined,
    routedModes.includes(mode) && pool.length > 1
      ? `it has ${pool.length} forward devices; forward mode '${mode}' takes one`
      : undefined,
    mode === 'open' && pool.length > 0
      ? `forward mode 'open' has no forward device, this one has '${names[0]}'`
      : undefined,
    mode !== 'nat' && forward?.child('nat') !== undefined
      ? `<nat> is for forward mode 'nat', not '${mode}'`
      : undefined,
    bridgeOption(network),
    driver !== undefined && !drivers.includes(driver)
      ? `its driver '${driver}' is not one of ${drivers.join(', ')}`
      : undefined,
  ];
  return reasons.flatMap(reason =>
    reason === undefined ? [] : `libvirt would not define ${network.owner}: ${reason}`,
  );
}

/** What libvirt sets only on a bridge that it makes. */
function bridgeOption({ mode, element }: Network): string | undefined {
  if (routedModes.includes(mode)) return undefined;
  const bridge = element.child('bridge');
  const option = ['stp', 'zone', 'delay'].find(name => !/^0*$/.test(readText(bridge, name) ?? ''));
  return option && `'${option}' of a <bridge> is not possible with forward mode '${mode}'`;
}
