import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa, type ResultPromise } from 'execa';
import type { GuestRecord } from '../../src/guest/record.ts';
import { projectDirectory } from '../helpers/host.ts';
import { daemonConfig, qemuConfig } from './documents.ts';

/** A call of one of our hooks, as the noting hook wrote it down. */
export interface HookCall {
  readonly host: string;
  readonly driver: string;
  readonly object: string;
  readonly operation: string;
  readonly status: number;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
}

export interface HostIdentity {
  readonly name: string;
  readonly uuid: string;
  /** On the link to the other host. */
  readonly address: string;
  /** Links get numbers above this one: the kernel's /dev/tapN are shared by all namespaces. */
  readonly linksFrom: number;
}

const daemonPidFile = '/run/libvirtd.pid';

/** A program in the background. */
export interface Launched {
  /** What it has printed so far. */
  readonly lines: readonly string[];
  readonly end: (signal: 'TERM' | 'KILL') => Promise<void>;
}

/** A libvirt host in namespaces of its own, with our hooks installed. */
export class LibvirtHost {
  readonly #identity: HostIdentity;
  #directory = '';
  #init: ResultPromise | undefined;
  #pid = 0;

  constructor(identity: HostIdentity) {
    this.#identity = identity;
  }

  get name(): string {
    return this.#identity.name;
  }

  /** PID 1 of the host, in the outside's numbers. */
  get pid(): number {
    return this.#pid;
  }

  get address(): string {
    return this.#identity.address;
  }

  /** Brings the namespaces up; no daemon runs yet. */
  async start(): Promise<void> {
    this.#directory = mkdtempSync(path.join(tmpdir(), `actualnet-libvirt-${this.name}-`));
    for (const tree of ['etc/libvirt', 'var/lib/libvirt', 'var/cache/libvirt', 'var/log/libvirt/qemu'])
      mkdirSync(this.#file(tree), { recursive: true });
    await this.#startInit();
    await this.#installHooks();
    writeFileSync(this.#file('etc/libvirt/libvirtd.conf'), daemonConfig(this.#identity));
    writeFileSync(this.#file('etc/libvirt/qemu.conf'), qemuConfig(this.#identity));
    await this.#skipLinkNumbers();
  }

  /** Ends every process of the host and removes its directory. */
  async stop(): Promise<void> {
    this.#init?.stdin?.end();
    await this.#init;
  }

  /** Gives the host a configuration of ours. */
  configure(yaml: string): void {
    writeFileSync(this.#file('all-etc/actualnet/config.yaml'), yaml);
  }

  async startDaemon(): Promise<void> {
    // What a kernel lacks can be fake to the daemon: for measurements, not for tests.
    const preload = process.env.ACTUALNET_LIBVIRTD_PRELOAD;
    const pretending = preload === undefined ? [] : ['env', `LD_PRELOAD=${preload}`];
    const [program, ...words] = [...pretending, 'libvirtd'];
    await this.run(program!, ...words, '--daemon', '--listen', '--pid-file', daemonPidFile);
    await this.virsh('uri');
  }

  async stopDaemon(signal: 'TERM' | 'KILL' = 'TERM'): Promise<void> {
    const wait = 'while [ -d "/proc/$pid" ]; do sleep 0.05; done';
    await this.run('sh', '-c', `pid=$(cat ${daemonPidFile}); kill -${signal} "$pid"; ${wait}`);
  }

  /** Runs a command inside the host; resolves to its stdout. */
  async run(file: string, ...words: readonly string[]): Promise<string> {
    return this.runWith('', file, ...words);
  }

  async runWith(input: string, file: string, ...words: readonly string[]): Promise<string> {
    const { stdout } = await execa('nsenter', [...this.#enter, file, ...words], { input, timeout: 60_000, cwd: '/' });
    return stdout;
  }

  /** Starts a program inside that goes on in the background; at the latest it ends with the host. */
  launch(file: string, ...words: readonly string[]): Launched {
    const lines: string[] = [];
    const running = execa('nsenter', [...this.#enter, file, ...words], { stdin: 'ignore', reject: false, cwd: '/' });
    for (const stream of [running.stdout, running.stderr]) createInterface(stream).on('line', line => lines.push(line));
    return {
      lines,
      end: async signal => {
        // The one inside: nsenter itself only waits for it.
        await this.run('pkill', `-${signal}`, '-f', '-x', [file, ...words].join(' ')).catch(() => undefined);
        await running;
      },
    };
  }

  get #enter(): string[] {
    return ['--target', `${this.#pid}`, '--mount', '--net', '--uts', '--ipc', '--pid', '--'];
  }

  virsh(...words: readonly string[]): Promise<string> {
    return this.run('virsh', '--connect', 'qemu:///system', ...words);
  }

  async define(guestXml: string): Promise<void> {
    await this.#virshWith(guestXml, 'define');
  }

  /** Gives a running guest another interface. */
  async attach(guest: string, interfaceXml: string): Promise<void> {
    await this.#virshWith(interfaceXml, 'attach-device', '--live', guest);
  }

  /** Changes an interface of a running guest. */
  async update(guest: string, interfaceXml: string): Promise<void> {
    await this.#virshWith(interfaceXml, 'update-device', '--live', guest);
  }

  async startNetwork(networkXml: string): Promise<void> {
    const [, name] = /<name>(.*?)<\/name>/.exec(networkXml)!;
    await this.#virshWith(networkXml, 'net-define');
    await this.virsh('net-start', name!);
  }

  /** Whatever state the guest is in, also when there is none of that name. */
  async forget(guest: string): Promise<void> {
    // A guest that came by migration has no definition and goes away with the first.
    await this.virsh('destroy', guest).catch(() => undefined);
    await this.virsh('undefine', guest).catch(() => undefined);
  }

  /** Live; resolves once this host has nothing to do with the guest any more. */
  async migrate(guest: string, destination: LibvirtHost, ...options: readonly string[]): Promise<void> {
    await this.migrateStanding(guest, destination, '--live', ...options);
  }

  /** The same; its CPUs are paused all the while, unless the options say otherwise. */
  async migrateStanding(guest: string, destination: LibvirtHost, ...options: readonly string[]): Promise<void> {
    await this.virsh('migrate', '--unsafe', ...options, guest, `qemu+tcp://${destination.address}/system`);
  }

  /** Ends QEMU as a crash would, without libvirt's doing. */
  async killQemu(guest: string): Promise<void> {
    await this.run('sh', '-c', `kill -KILL "$(cat /run/libvirt/qemu/${guest}.pid)"`);
  }

  /** Runs the command line on this host. */
  actualnet(input: string, ...words: readonly string[]): Promise<string> {
    return this.runWith(input, process.execPath, path.join(projectDirectory, 'dist/actualnet.cjs'), ...words);
  }

  /** Starts the agent, as its service does; resolves when it watches. */
  async startAgent(): Promise<Launched> {
    const known = this.hookLog().length;
    const agent = this.launch(process.execPath, path.join(projectDirectory, 'dist/actualnet.cjs'), 'agent');
    const isWatching = () =>
      this.hookLog()
        .slice(known)
        .some(line => line.includes('the agent watches'));
    for (let waits = 0; !isWatching() && waits < 200; waits++) await sleep(50);
    if (!isWatching()) throw new Error(`the agent does not start:\n${agent.lines.join('\n')}`);
    return agent;
  }

  /** What `actualnet status` says on this host. */
  async status(guest: string): Promise<GuestRecord> {
    const program = path.join(projectDirectory, 'dist/actualnet.cjs');
    const { guests } = JSON.parse(await this.run(process.execPath, program, 'status', guest, '--format', 'json'));
    return guests[0];
  }

  /** Every call of a hook so far, in order of their ends. */
  hookCalls(): HookCall[] {
    return this.#lines('var/log/hook-calls').map(line => {
      const [host, driver, object, operation, , , ...numbers] = line.split(' ');
      const [status, stdoutBytes, stderrBytes] = numbers.map(Number);
      return { host, driver, object, operation, status, stdoutBytes, stderrBytes } as HookCall;
    });
  }

  /** What the hooks logged: findings and errors. */
  hookLog(): string[] {
    return this.#lines('var/log/actualnet.log');
  }

  #lines(file: string): string[] {
    return existsSync(this.#file(file)) ? readFileSync(this.#file(file), 'utf8').split('\n').slice(0, -1) : [];
  }

  #file(name: string): string {
    return path.join(this.#directory, name);
  }

  async #virshWith(document: string, command: string, ...words: readonly string[]): Promise<void> {
    const file = 'var/lib/libvirt/document.xml';
    writeFileSync(this.#file(file), document);
    await this.virsh(command, ...words, `/${file}`);
  }

  async #startInit(): Promise<void> {
    const namespaces = '--mount --net --uts --ipc --pid --fork --kill-child';
    const command = `unshare ${namespaces} "$0" "$1" "$2"; status=$?; rm -rf "$2"; exit $status`;
    const init = path.join(import.meta.dirname, 'init.sh');
    // In a session of its own, so that Ctrl-C reaches the tests only and the directory is still removed.
    const running = execa('sh', ['-c', command, init, this.name, this.#directory], { detached: true });
    this.#init = running;
    const firstLine = once(createInterface(running.stdout), 'line');
    // An init that fails ends before it prints, and rejects.
    await Promise.race([firstLine, running]);
    this.#pid = Number((await firstLine)[0]);
  }

  /** Where libvirt looks is the noting hook; it runs what install.sh made. */
  async #installHooks(): Promise<void> {
    const installed = this.#file('etc/libvirt/installed-hooks');
    await execa(path.join(projectDirectory, 'install.sh'), ['--hooks-dir', installed]);
    for (const driver of ['qemu', 'network']) {
      const dropIn = this.#file(`etc/libvirt/hooks/${driver}.d/50-actualnet`);
      cpSync(path.join(import.meta.dirname, 'noting-hook.sh'), dropIn);
      chmodSync(dropIn, 0o755);
    }
  }

  async #skipLinkNumbers(): Promise<void> {
    const pairs = Array.from(
      { length: this.#identity.linksFrom / 2 },
      (_, i) => `link add name skip${i} group 77 type veth`,
    );
    await this.runWith(pairs.join('\n'), 'ip', '-batch', '-');
    await this.run('ip', 'link', 'delete', 'group', '77');
  }
}
