import { execa } from 'execa';
import { LibvirtHost } from './host.ts';

export interface TwoHosts {
  readonly a: LibvirtHost;
  readonly b: LibvirtHost;
}

/** What guests and networks stand on, by the same names on both hosts: a bridge, two physical devices, a persistent tap. */
const links = `
link add name br0 address 02:00:00:00:b0:00 type bridge
link set br0 up
link add name eth1 type veth peer name eth1peer
link set eth1 up
link set eth1peer up
link add name eth2 type veth peer name eth2peer
link set eth2 up
link set eth2peer up
tuntap add dev tap0 mode tap
link set tap0 up
`;

/** Two hosts that reach each other over `eth0`, with daemons and the given networks running. */
export async function startTwoHosts(networks: readonly string[]): Promise<TwoHosts> {
  const a = new LibvirtHost({
    name: 'a',
    uuid: '0b0e1f52-000a-4000-8000-00000000000a',
    address: '10.77.0.1',
    linksFrom: 1000,
  });
  const b = new LibvirtHost({
    name: 'b',
    uuid: '0b0e1f52-000b-4000-8000-00000000000b',
    address: '10.77.0.2',
    linksFrom: 2000,
  });
  try {
    await a.start();
    await b.start();
    const ends = [`name eth0 netns ${a.pid}`, `name eth0 netns ${b.pid}`];
    await execa('ip', `link add ${ends[0]} type veth peer ${ends[1]}`.split(' '));
    await Promise.all([a, b].map(host => prepare(host, networks)));
    return { a, b };
  } catch (error) {
    await stopHosts({ a, b });
    throw error;
  }
}

export async function stopHosts(hosts: TwoHosts | undefined): Promise<void> {
  await Promise.all([hosts?.a.stop(), hosts?.b.stop()]);
}

async function prepare(host: LibvirtHost, networks: readonly string[]): Promise<void> {
  // Without addresses of its own a link has no forwarding entries that come and go.
  await host.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 || :');
  await host.runWith(`address add ${host.address}/24 dev eth0\nlink set eth0 up${links}`, 'ip', '-batch', '-');
  await host.startDaemon();
  for (const network of networks) await host.startNetwork(network);
}
