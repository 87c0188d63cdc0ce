import type { LibvirtHost } from './host.ts';

/** Everything a guest could leave behind on a host, as lines that compare well. */
export interface Traces {
  readonly links: readonly string[];
  readonly forwarding: readonly string[];
  readonly remembered: readonly string[];
}

export async function findTraces(host: LibvirtHost): Promise<Traces> {
  const [links, forwarding] = await Promise.all([
    host.run('ip', '-json', '-details', 'link', 'show'),
    host.run('bridge', '-json', 'fdb', 'show'),
  ]);
  return {
    links: (JSON.parse(links) as Link[]).map(describeLink).sort(),
    forwarding: (JSON.parse(forwarding) as object[]).map(entry => JSON.stringify(entry)).sort(),
    remembered: await findRemembered(host),
  };
}

interface Link {
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly linkinfo?: { readonly info_kind?: string };
}

/** A physical device under a passthrough macvtap changes its address, a bridge port its master. */
function describeLink({ ifname, address, mtu, flags, master = '-', linkinfo }: Link): string {
  const state = flags.includes('UP') ? 'up' : 'down';
  return `${ifname} ${linkinfo?.info_kind ?? '-'} ${address} mtu ${mtu} ${state} master ${master}`;
}

/** The hooks' files about guests, ports and shared devices; networks stay as long as they run, locks are empty. */
async function findRemembered(host: LibvirtHost): Promise<string[]> {
  const found = await host.run(
    'sh',
    '-c',
    'mkdir -p /run/actualnet && chmod 700 /run/actualnet && cd /run/actualnet && find . -type f',
  );
  return found
    .split('\n')
    .filter(
      file =>
        !/^\.\/(seen|locks|shared-by\/~complete|(migrations|witness)\.jsonl?)(\/|$)|\/(network|config)\.json$/.test(
          file,
        ) && file !== '',
    )
    .sort();
}
