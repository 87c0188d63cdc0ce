import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { consoleFile, smallOs } from './documents.ts';
import type { Machine } from './machine.ts';

const workplace = '/var/lib/small-os';
const networkDrivers = ['virtio_pci', 'virtio_net', 'igbvf'];

/** Puts the small operating system together inside, from the machine's kernel and busybox. */
export async function installSmallOs(machine: Machine): Promise<void> {
  const init = readFileSync(path.join(import.meta.dirname, 'small-os-init.sh'), 'utf8');
  await machine.putFile(`${workplace}/tree/init`, init);
  await machine.sh(`
    set -e
    cd ${workplace}/tree
    mkdir -p bin dev known modules proc sys
    chmod 755 init
    cp /bin/busybox bin/
    : >modules/order
    for driver in ${networkDrivers.join(' ')}; do modprobe --show-depends $driver; done |
      awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
      while read -r file; do
        name=$(basename "$file" .xz)
        xz --decompress --stdout "$file" >"modules/$name"
        echo "$name" >>modules/order
      done
    find . | cpio --quiet --create --format newc >${smallOs.initrd}
    cp "/boot/vmlinuz-$(uname -r)" ${smallOs.kernel}`);
}

/** Reads what a guest prints since its start. A line is passed only once, however late it is asked for. */
export class GuestConsole {
  readonly #machine: Machine;
  readonly #guest: string;
  #passed = 0;

  constructor(machine: Machine, guest: string) {
    this.#machine = machine;
    this.#guest = guest;
  }

  /** Waits for the next line that matches, passing those before it; resolves to it. */
  async next(pattern: RegExp, timeoutMs = 240_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    let lines: string[];
    do {
      lines = await this.lines();
      const found = lines.findIndex((line, index) => index >= this.#passed && pattern.test(line));
      if (found !== -1) {
        this.#passed = found + 1;
        return lines[found]!;
      }
      await sleep(500);
    } while (Date.now() < deadline);
    throw new Error(`guest '${this.#guest}' printed nothing new like ${pattern}:\n${lines.slice(-10).join('\n')}`);
  }

  /** Passes all that was printed up to now. */
  async passAll(): Promise<void> {
    this.#passed = (await this.lines()).length;
  }

  async lines(): Promise<string[]> {
    const { stdout } = await this.#machine.run(`cat '${consoleFile(this.#guest)}'`);
    return stdout.split(/\r?\n/).slice(0, -1);
  }
}

/** Defines and starts a network. */
export async function startNetwork(machine: Machine, xml: string): Promise<void> {
  await virshWith(machine, xml, 'net-define');
  await machine.sh(`virsh net-start '${nameIn(xml)}'`);
}

/** Defines a guest. */
export async function define(machine: Machine, xml: string): Promise<void> {
  await virshWith(machine, xml, 'define');
}

/** Plugs a device into a running guest. */
export async function attach(machine: Machine, guest: string, deviceXml: string): Promise<void> {
  await virshWith(machine, deviceXml, `attach-device --live '${guest}'`);
}

/** Asks a running guest to let go of a device. It may take its time: libvirt does not wait for it. */
export async function detach(machine: Machine, guest: string, deviceXml: string): Promise<void> {
  await virshWith(machine, deviceXml, `detach-device --live '${guest}'`);
}

/** Ends QEMU as a crash would, without libvirt's doing. */
export async function killQemu(machine: Machine, guest: string): Promise<void> {
  await machine.sh(`kill -KILL "$(cat '/run/libvirt/qemu/${guest}.pid')"`);
}

/** Removes every guest and network that libvirt knows, whatever state they are in. */
export async function forgetAll(machine: Machine): Promise<void> {
  await machine.sh(`
    for name in $(virsh list --name); do virsh destroy "$name"; done
    for name in $(virsh list --all --name); do virsh undefine "$name"; done
    for name in $(virsh net-list --name); do virsh net-destroy "$name"; done
    for name in $(virsh net-list --all --name); do virsh net-undefine "$name"; done`);
}

async function virshWith(machine: Machine, xml: string, command: string): Promise<void> {
  await machine.sh(`virsh ${command} --file /dev/stdin`, { input: xml });
}

function nameIn(xml: string): string {
  return /<name>(.*?)<\/name>/.exec(xml)![1]!;
}
