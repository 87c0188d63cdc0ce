import type { Config } from '../config/types.ts';
import type { Change } from '../kernel/registry.ts';
import type { Network } from '../model/network.ts';

/** `network start`: the bridge and pool devices that the configuration says to provide. */
export function planNetworkStart(network: Network, config: Config): Change[] {
  // libvirt makes the bridges of routed networks itself.
  const bridge = network.mode === 'bridge' ? network.bridge : undefined;
  const pool = network.pool.flatMap(device => ('dev' in device ? device.dev : []));
  const named = [bridge, network.pf].filter(name => name !== undefined);
  return provisionLinks([...named, ...pool], config);
}

/** The changes that make the named parts, each with what it stands on. Shared: the last user's end removes them. */
export function provisionLinks(names: readonly string[], config: Config): Change[] {
  const changes = new Map<string, Change[]>();
  const visited = new Set<string>();
  const provide = (name: string): void => {
    if (visited.has(name)) return;
    visited.add(name);
    if (Object.hasOwn(config.provide.vlans, name)) {
      const { link, id } = config.provide.vlans[name]!;
      provide(link);
      changes.set(name, part(name, [{ subject: { kind: 'link', dev: name }, to: { type: 'vlan', link, id } }]));
    } else if (Object.hasOwn(config.provide.vfs, name)) {
      const { count, unmanaged } = config.provide.vfs[name]!;
      const leaveAlone = { subject: { kind: 'unmanaged', dev: name }, to: true } as const;
      const up = { subject: { kind: 'up', dev: name }, to: true } as const;
      // Some drivers make none while the PF is down; and a network manager looks at a link when it appears.
      const steps = [
        up,
        ...(unmanaged ? [leaveAlone] : []),
        { subject: { kind: 'vfs', dev: name }, to: count } as const,
      ];
      changes.set(name, sharedSteps(name, steps));
    } else if (Object.hasOwn(config.provide.bridges, name)) {
      const { ports, mtu, vlanFiltering } = config.provide.bridges[name]!;
      for (const port of ports) provide(port);
      changes.set(
        name,
        part(name, [
          { subject: { kind: 'link', dev: name }, to: { type: 'bridge', vlanFiltering } },
          ...(mtu === undefined ? [] : [{ subject: { kind: 'mtu', dev: name }, to: mtu } as const]),
          ...ports.flatMap(dev => [
            { subject: { kind: 'master', dev }, to: name } as const,
            { subject: { kind: 'up', dev }, to: true } as const,
          ]),
        ]),
      );
    }
  };
  for (const name of names) provide(name);
  return [...changes.values()].flat();
}

function part(name: string, steps: readonly Pick<Change, 'subject' | 'to'>[]): Change[] {
  return sharedSteps(name, [...steps, { subject: { kind: 'up', dev: name }, to: true }]);
}

function sharedSteps(name: string, steps: readonly Pick<Change, 'subject' | 'to'>[]): Change[] {
  return steps.map(step => ({ ...step, why: `the configuration provides '${name}'`, shared: true }));
}
