import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Programs } from '../../src/host/effects.ts';
import type { CommandFailure } from '../../src/journal/effects.ts';
import { FakeLinks } from './fake-links.ts';

/** What a VF's PF holds for it, in the words of `ip -j link show`. */
export interface HeldVf {
  mac: string;
  vlan: number;
  qos: number;
  protocol: string;
  maxTx: number;
  minTx: number;
  spoofchk: boolean;
  trust: boolean;
  state: string;
  queryRss: boolean;
}

export interface FakePf {
  readonly dev: string;
  /** Its PCI address; the VFs follow from `.1` on of the slot behind. */
  readonly address: string;
  readonly driver: string;
  readonly vfDriver: string;
  readonly vfs: number;
  /** Settings the driver answers with "not supported". */
  readonly refuses?: readonly string[];
  /** Settings that can be set but are not shown. */
  readonly silent?: readonly string[];
  /** The driver does not take an all-zero MAC back. */
  readonly refusesZeroMac?: boolean;
  /** In switchdev mode there is a representor for each VF. */
  readonly representors?: boolean;
  /** All VFs are in one IOMMU group, with this device too if there is one. */
  readonly sharedGroup?: boolean;
  readonly numaNode?: number;
  readonly iommufd?: boolean;
  /** The function has a second port of that name; the links of these VFs are on it, as `phys_port_id` tells. */
  readonly second?: { readonly dev: string; readonly vfs: readonly number[] };
}

const fresh = (): HeldVf => ({
  mac: '00:00:00:00:00:00',
  vlan: 0,
  qos: 0,
  protocol: '802.1Q',
  maxTx: 0,
  minTx: 0,
  spoofchk: true,
  trust: false,
  state: 'auto',
  queryRss: false,
});

/**
 * SR-IOV cards that are only files: a sysfs tree with the names and links that real kernels print, and `ip` as far as it
 * sets and shows VFs. Every command is kept. What libvirt does to a VF can be done too.
 */
export class FakeCards {
  readonly commands: string[] = [];
  /** A driver that is there and takes nothing: then the device is left without one, reserved for it. */
  refusesToBind: string | undefined;
  /** Lines with that in them are answered with these errors, one after the other, before they are carried out. */
  readonly putsOff = new Map<string, string[]>();
  readonly links: FakeLinks;
  readonly #root: string;
  readonly #pfs: readonly FakePf[];
  readonly #held = new Map<string, HeldVf>();
  #index = 100;

  constructor(root: string, pfs: readonly FakePf[]) {
    this.#root = root;
    this.#pfs = pfs;
    this.links = new FakeLinks(root);
    for (const driver of ['vfio-pci', ...pfs.map(({ vfDriver }) => vfDriver)])
      mkdirSync(this.#sys('bus/pci/drivers', driver), { recursive: true });
    for (const pf of pfs) this.#makePf(pf);
  }

  readonly programs: { -readonly [K in keyof Programs]: Programs[K] } = {
    runBatch: async (tool, lines, options) => this.#runAll(lines, options, line => this.#ip(tool, line)),
    readBatch: async (tool, lines) =>
      lines.map(line =>
        line.startsWith('addr ') ? this.links.showAddresses(line) : tool === 'ip' ? this.#show(line) : [],
      ),
    runPciCommands: async (_, commands, options) =>
      this.#runAll(
        commands.map(({ line }) => line),
        options,
        line => this.#pci(line),
      ),
    readOverrides: async (_, devices) =>
      new Map(
        devices.flatMap(device => {
          const override = readFileSync(this.#device(device, 'driver_override'), 'utf8').trim();
          return override === '(null)' ? [] : [[device, override] as const];
        }),
      ),
  };

  vf(dev: string, number: number): HeldVf {
    return this.#held.get(`${dev} ${number}`)!;
  }

  addressOf(dev: string, number: number): string {
    const { address } = this.#pf(dev);
    const place = number + 8;
    return `${address.slice(0, -4)}${(place >> 3).toString(16).padStart(2, '0')}.${place & 7}`;
  }

  driverOf(address: string): string | null {
    const file = this.#device(address, 'driver');
    return existsSync(file) ? path.basename(readlinkSync(file)) : null;
  }

  /** Everything there is to know, comparable before and after. */
  state(): string[] {
    return this.#pfs.flatMap(({ dev, address }) =>
      readdirSync(this.#device(address))
        .filter(name => /^virtfn\d+$/.test(name))
        .sort()
        .map((_, number) => {
          const vf = this.addressOf(dev, number);
          const override = readFileSync(this.#device(vf, 'driver_override'), 'utf8').trim();
          const net = this.#device(vf, 'net');
          const links = existsSync(net)
            ? readdirSync(net).map(link => `${link} ${this.#read('class/net', link, 'address')}`)
            : [];
          return `${dev} vf ${number} ${JSON.stringify(this.vf(dev, number))} on ${this.driverOf(vf)} override ${override} ${links}`;
        }),
    );
  }

  /** Somebody does something by hand; it is not kept among the commands. */
  byHand(line: string): void {
    const failed = this.#ip('ip', line);
    if (failed !== undefined) throw new Error(`${line}: ${failed}`);
  }

  /** What libvirt does between the port and `start`; the answer gives it back, as imperfectly as libvirt does. */
  libvirtTakes(
    dev: string,
    number: number,
    { mac, vlan = 0, managed = true }: { mac: string; vlan?: number; managed?: boolean },
  ): () => void {
    const address = this.addressOf(dev, number);
    const held = this.vf(dev, number);
    const own = this.#ownMac(address);
    const saved = { mac: own ?? held.mac, vlan: held.vlan };
    const before = this.driverOf(address);
    if (managed) this.bind(address, 'vfio-pci', 'vfio-pci');
    Object.assign(held, { mac, vlan, qos: 0, protocol: '802.1Q' });
    return () => {
      Object.assign(held, { mac: saved.mac, vlan: saved.vlan, qos: 0, protocol: '802.1Q' });
      if (managed) this.bind(address, before, '(null)');
    };
  }

  /** For passthrough the VF stays with its driver, which is bound anew so that it takes the MAC. */
  libvirtPassesThrough(dev: string, number: number, mac: string): () => void {
    const address = this.addressOf(dev, number);
    const held = this.vf(dev, number);
    const saved = { mac: this.#ownMac(address) ?? held.mac, vlan: held.vlan };
    const rebind = () => {
      const driver = this.driverOf(address);
      this.bind(address, null, '(null)');
      this.bind(address, driver, '(null)');
    };
    Object.assign(held, { mac, vlan: 0, qos: 0 });
    rebind();
    return () => {
      Object.assign(held, { mac: saved.mac, vlan: saved.vlan, qos: 0 });
      rebind();
    };
  }

  /** A process that has a device's node open, as /proc shows it. */
  hold(pid: number, node: string, guest: string, fd = 33): void {
    const directory = path.join(this.#root, 'proc', `${pid}`);
    mkdirSync(path.join(directory, 'fd'), { recursive: true });
    writeFileSync(path.join(directory, 'comm'), 'qemu-system-x86\n');
    writeFileSync(
      path.join(directory, 'cmdline'),
      `/usr/bin/qemu-system-x86_64\0-name\0guest=${guest},debug-threads=on\0`,
    );
    symlinkSync(node, path.join(directory, 'fd', `${fd}`));
  }

  letGo(pid: number): void {
    rmSync(path.join(this.#root, 'proc', `${pid}`), { recursive: true });
  }

  /** A VF's link goes where this host does not see it. */
  moveLinkAway(dev: string, number: number): void {
    const net = this.#device(this.addressOf(dev, number), 'net');
    for (const link of readdirSync(net)) rmSync(this.#sys('class/net', link), { recursive: true });
    rmSync(net, { recursive: true });
    mkdirSync(net);
  }

  /** The link of a VF. */
  linkOf(dev: string, number: number): string {
    return readdirSync(this.#device(this.addressOf(dev, number), 'net'))[0]!;
  }

  groupOf(address: string): number {
    return Number(path.basename(readlinkSync(this.#device(address, 'iommu_group'))));
  }

  bind(address: string, driver: string | null, override: string): void {
    const link = this.#device(address, 'driver');
    writeFileSync(this.#device(address, 'driver_override'), `${override || '(null)'}\n`);
    rmSync(link, { force: true });
    for (const dev of existsSync(this.#device(address, 'net')) ? readdirSync(this.#device(address, 'net')) : [])
      rmSync(this.#sys('class/net', dev), { recursive: true });
    for (const gone of ['net', 'vfio-dev']) rmSync(this.#device(address, gone), { recursive: true, force: true });
    if (driver === null) return;
    symlinkSync(`../../drivers/${driver}`, link);
    const [dev, number] = this.#vfAt(address) ?? [];
    if (driver === 'vfio-pci' && dev !== undefined && this.#pf(dev).iommufd)
      mkdirSync(this.#device(address, `vfio-dev/vfio${number}`), { recursive: true });
    if (dev === undefined || driver === 'vfio-pci') return;
    const { second } = this.#pf(dev);
    const isOnSecond = second?.vfs.includes(number!);
    const { mac } = this.vf(isOnSecond ? second!.dev : dev, number!);
    this.#makeLink(`${dev}v${number}`, address, {
      mac: mac === fresh().mac ? this.#randomMac() : mac,
      up: false,
      ...(second && { portId: isOnSecond ? '0b' : '0a' }),
    });
  }

  #makePf(pf: FakePf): void {
    const { dev, address, driver, vfs } = pf;
    this.#makeDevice(address, driver, pf);
    writeFileSync(this.#device(address, 'sriov_totalvfs'), '8\n');
    writeFileSync(this.#device(address, 'sriov_numvfs'), `${vfs}\n`);
    const mac = `02:00:00:00:0${this.#pfs.indexOf(pf)}:00`;
    const { second } = pf;
    this.#makeLink(dev, address, { mac, up: true, port: 'p0', ...(second && { portId: '0a' }) });
    if (second !== undefined) this.#makeLink(second.dev, address, { mac, up: true, port: 'p1', portId: '0b' });
    this.#makeVfs(pf, vfs);
  }

  #makeVfs(pf: FakePf, vfs: number): void {
    for (let number = 0; number < vfs; number++) {
      const vf = this.addressOf(pf.dev, number);
      this.#held.set(`${pf.dev} ${number}`, fresh());
      if (pf.second !== undefined) this.#held.set(`${pf.second.dev} ${number}`, fresh());
      this.#makeDevice(vf, null, pf);
      symlinkSync(`../${vf}`, this.#device(pf.address, `virtfn${number}`));
      symlinkSync(`../${pf.address}`, this.#device(vf, 'physfn'));
      if (pf.representors) {
        this.#makeLink(`${pf.dev}_${number}`, pf.address, {
          mac: this.#randomMac(),
          up: false,
          port: `pf0vf${number}`,
        });
      }
      this.bind(vf, pf.vfDriver, '(null)');
    }
  }

  #makeDevice(address: string, driver: string | null, { sharedGroup, numaNode }: FakePf): void {
    mkdirSync(this.#device(address), { recursive: true });
    writeFileSync(this.#device(address, 'class'), '0x020000\n');
    writeFileSync(this.#device(address, 'numa_node'), `${numaNode ?? -1}\n`);
    writeFileSync(this.#device(address, 'driver_override'), '(null)\n');
    const group = sharedGroup ? 77 : this.#index++;
    const members = this.#sys('kernel/iommu_groups', `${group}`, 'devices');
    mkdirSync(members, { recursive: true });
    symlinkSync(`../../../../bus/pci/devices/${address}`, path.join(members, address));
    symlinkSync(`../../../../kernel/iommu_groups/${group}`, this.#device(address, 'iommu_group'));
    if (driver !== null) {
      mkdirSync(this.#sys('bus/pci/drivers', driver), { recursive: true });
      symlinkSync(`../../drivers/${driver}`, this.#device(address, 'driver'));
    }
  }

  #makeLink(
    dev: string,
    address: string,
    { mac, up, port, portId }: { mac: string; up: boolean; port?: string; portId?: string },
  ): void {
    const link = this.#sys('class/net', dev);
    mkdirSync(link, { recursive: true });
    mkdirSync(this.#device(address, 'net'), { recursive: true });
    symlinkSync(`../../../../../class/net/${dev}`, this.#device(address, 'net', dev));
    const files = {
      ...{ ifindex: this.#index++, flags: up ? '0x1003' : '0x1002', mtu: 1500, address: mac },
      ...{ dev_port: port === 'p1' ? 1 : 0, ...(port && { phys_port_name: port }) },
      ...(portId && { phys_port_id: portId }),
    };
    for (const [name, value] of Object.entries(files)) writeFileSync(path.join(link, name), `${value}\n`);
    symlinkSync(this.#device(address), path.join(link, 'device'));
  }

  #runAll(
    lines: readonly string[],
    { keepGoing }: { keepGoing: boolean },
    run: (line: string) => string | undefined,
  ): CommandFailure[] {
    const failures: CommandFailure[] = [];
    for (const [place, line] of lines.entries()) {
      this.commands.push(line);
      const putOff = [...this.putsOff].find(([part, errors]) => line.includes(part) && errors.length > 0)?.[1];
      const message = putOff?.shift() ?? run(line);
      if (message !== undefined) failures.push({ place, message });
      if (message !== undefined && !keepGoing) break;
    }
    return failures;
  }

  #ip(tool: string, line: string): string | undefined {
    const words = line.split(' ');
    if (tool !== 'ip' || words.slice(0, 3).join(' ') !== 'link set dev') throw new Error(`unexpected: ${tool} ${line}`);
    const [, , , dev = '', what, number, key = '', value = ''] = words;
    if (what !== 'vf') return this.#setLink(dev, words.slice(4));
    const held = this.vf(dev, Number(number));
    if (held === undefined) return 'RTNETLINK answers: Invalid argument';
    if (this.#pf(dev).refuses?.includes(key) || (words.includes('proto') && this.#pf(dev).refuses?.includes('proto')))
      return 'RTNETLINK answers: Operation not supported';
    const after = (word: string) => words[words.indexOf(word) + 1];
    switch (key) {
      case 'mac':
        if (value === fresh().mac && this.#pf(dev).refusesZeroMac) return 'RTNETLINK answers: Invalid argument';
        held.mac = value;
        return undefined;
      case 'vlan':
        Object.assign(held, {
          vlan: Number(value),
          qos: words.includes('qos') ? Number(after('qos')) : 0,
          protocol: words.includes('proto') ? after('proto') : '802.1Q',
        });
        return undefined;
      case 'max_tx_rate':
        Object.assign(held, { maxTx: Number(value), minTx: Number(after('min_tx_rate')) });
        return undefined;
      case 'state':
        held.state = value;
        return undefined;
      case 'query_rss':
        held.queryRss = value === 'on';
        return undefined;
      case 'trust':
      case 'spoofchk':
        held[key] = value === 'on';
        return undefined;
      default:
        throw new Error(`unexpected: ${line}`);
    }
  }

  #setLink(dev: string, [to]: readonly string[]): string | undefined {
    if (to !== 'up' && to !== 'down') throw new Error(`unexpected: ${dev} ${to}`);
    this.links.setUp(dev, to === 'up');
    return undefined;
  }

  #pci(line: string): string | undefined {
    const [verb, subject = '', ...rest] = line.split(' ');
    if (verb === 'bind' && rest[0] === this.refusesToBind) {
      this.bind(subject, null, rest[0]!);
      return `driver '${rest[0]}' did not take it, it is on no driver`;
    }
    if (verb === 'bind') {
      const at = rest.indexOf('mac');
      const [dev, number] = this.#vfAt(subject) ?? [];
      const held = dev === undefined ? undefined : this.vf(dev, number!);
      const mac = held?.mac;
      if (held && at !== -1) held.mac = rest[at + 1]!;
      this.bind(subject, rest[0]!, rest[1] === 'override' ? rest[2]! : '(null)');
      if (held && mac !== undefined) held.mac = mac;
    } else if (verb === 'unbind') this.bind(subject, null, '(null)');
    else if (verb === 'numvfs') this.#setVfs(this.#pf(subject), Number(rest[0]));
    else if (verb === 'unmanaged') {
      const file = path.join(this.#root, 'run/udev/rules.d', `85-actualnet-${subject}.rules`);
      mkdirSync(path.dirname(file), { recursive: true });
      if (rest[0] === 'on') writeFileSync(file, '');
      else rmSync(file);
    } else throw new Error(`unexpected: ${line}`);
    return undefined;
  }

  #setVfs(pf: FakePf, count: number): void {
    for (let number = 0; existsSync(this.#device(pf.address, `virtfn${number}`)); number++) {
      const vf = this.addressOf(pf.dev, number);
      this.bind(vf, null, '(null)');
      rmSync(this.#device(pf.address, `virtfn${number}`));
      rmSync(path.join(this.#device(vf, 'iommu_group'), 'devices', vf));
      rmSync(this.#device(vf), { recursive: true });
    }
    this.#makeVfs(pf, count);
  }

  /** As iproute2 6.15 prints it; a VLAN's protocol only if it is not the usual one. */
  #show(line: string): unknown {
    const dev = line.split(' ').at(-1)!;
    const { vfs, refuses = [], silent = [] } = this.#pf(dev);
    const isShown = (setting: string) => !refuses.includes(setting) && !silent.includes(setting);
    const list = Array.from({ length: vfs }, (_, vf) => {
      const held = this.vf(dev, vf);
      const { vlan, qos, protocol } = held;
      const shown = {
        ...(vlan && { vlan }),
        ...(qos && { qos }),
        ...(protocol !== '802.1Q' && { protocol: protocol.replace('ad', 'AD') }),
      };
      return {
        vf,
        link_type: 'ether',
        address: held.mac,
        broadcast: 'ff:ff:ff:ff:ff:ff',
        vlan_list: [shown],
        ...(held.maxTx && { tx_rate: held.maxTx }),
        rate: { max_tx: held.maxTx, min_tx: held.minTx },
        ...(isShown('spoofchk') && { spoofchk: held.spoofchk }),
        link_state: held.state,
        ...(isShown('trust') && { trust: held.trust }),
        ...(isShown('query_rss') && { query_rss_en: held.queryRss }),
      };
    });
    return [{ ifindex: 2, ifname: dev, flags: ['UP'], vfinfo_list: list, altnames: [] }];
  }

  #pf(dev: string): FakePf {
    const pf = this.#pfs.find(each => each.dev === dev || each.second?.dev === dev);
    if (pf === undefined) throw new Error(`there is no PF '${dev}'`);
    return pf;
  }

  #vfAt(address: string): [string, number] | undefined {
    for (const { dev } of this.#pfs) {
      for (let number = 0; number < 8; number++) if (this.addressOf(dev, number) === address) return [dev, number];
    }
    return undefined;
  }

  #ownMac(address: string): string | undefined {
    const net = this.#device(address, 'net');
    const [dev] = existsSync(net) ? readdirSync(net) : [];
    return dev === undefined ? undefined : this.#read('class/net', dev, 'address');
  }

  #randomMac(): string {
    return `0a:00:00:00:00:${(this.#index++ % 256).toString(16).padStart(2, '0')}`;
  }

  #read(...parts: string[]): string {
    return readFileSync(this.#sys(...parts), 'utf8').trim();
  }

  #device(...parts: string[]): string {
    return this.#sys('bus/pci/devices', ...parts);
  }

  #sys(...parts: string[]): string {
    return path.join(this.#root, 'sys', ...parts);
  }
}
