import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The links of a host as files: what stands upon which, addresses, and the way out. */
export class FakeLinks {
  readonly #root: string;
  readonly #addresses = new Map<string, string>();

  constructor(root: string) {
    this.#root = root;
  }

  /** A bridge, a bond, a guest's macvtap or anything else; `inside` are the directories that tell what it is. */
  make(dev: string, inside: readonly string[] = [], { mac = '02:00:00:00:00:99', up = true, index = 900 } = {}): void {
    const link = this.#net(dev);
    for (const directory of ['', ...inside]) mkdirSync(path.join(link, directory), { recursive: true });
    const files = { ifindex: index, flags: up ? '0x1003' : '0x1002', mtu: 1500, address: mac };
    for (const [name, value] of Object.entries(files)) writeFileSync(path.join(link, name), `${value}\n`);
  }

  /** `upper` stands upon a link, and has it as a member if it is its master. */
  stack(dev: string, upper: string, { master = false, inside = [] as readonly string[] } = {}): void {
    symlinkSync(`../${dev}`, this.#net(upper, `lower_${dev}`));
    symlinkSync(`../${upper}`, this.#net(dev, `upper_${upper}`));
    if (master) symlinkSync(`../${upper}`, this.#net(dev, 'master'));
    for (const directory of inside) mkdirSync(this.#net(dev, directory));
    if (inside.includes('brport'))
      for (const flag of ['learning', 'unicast_flood', 'isolated'])
        writeFileSync(this.#net(dev, 'brport', flag), '1\n');
  }

  setUp(dev: string, up: boolean): void {
    writeFileSync(this.#net(dev, 'flags'), up ? '0x1003\n' : '0x1002\n');
  }

  macOf(dev: string): string {
    return readFileSync(this.#net(dev, 'address'), 'utf8').trim();
  }

  has(dev: string): boolean {
    return existsSync(this.#net(dev));
  }

  /** It is up, and has that address if one is given. */
  configure(dev: string, address?: string): void {
    this.setUp(dev, true);
    if (address !== undefined) this.#addresses.set(dev, address);
  }

  /** The default route leads through a link. */
  routeThrough(dev: string, family: 4 | 6 = 4): void {
    this.setUp(dev, true);
    const net = path.join(this.#root, 'proc/net');
    mkdirSync(net, { recursive: true });
    const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';
    const zeros = '0'.repeat(32);
    if (family === 4)
      writeFileSync(path.join(net, 'route'), `${head}${dev}\t00000000\t020200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n`);
    else
      writeFileSync(
        path.join(net, 'ipv6_route'),
        `${zeros} 00 ${zeros} 00 20010db8${'0'.repeat(23)}2 00000400 00000001 00000000 00000003 ${dev.padStart(8)}\n` +
          `${zeros} 00 ${zeros} 00 ${zeros} ffffffff 00000001 00000000 00200200       lo\n`,
      );
  }

  /** As `ip -j addr show dev DEV` has it. */
  showAddresses(line: string): unknown {
    const ifname = line.split(' ').at(-1)!;
    const [local, prefixlen] = this.#addresses.get(ifname)?.split('/') ?? [];
    const own = { family: 'inet6', local: 'fe80::1', prefixlen: 64, scope: 'link' };
    const given = local === undefined ? [] : [{ local, prefixlen: Number(prefixlen), scope: 'global' }];
    return [{ ifname, addr_info: [...given, own] }];
  }

  #net(...parts: string[]): string {
    return path.join(this.#root, 'sys/class/net', ...parts);
  }
}
