import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { projectDirectory } from '../helpers/host.ts';
import { cards } from './cards.ts';
import { haltRom } from './documents.ts';
import { type BootFiles, machineCommand } from './hardware.ts';
import type { Image } from './image.ts';
import { Machine } from './machine.ts';

/** What is needed of a checkout to install from it. */
const installed = ['dist', 'hooks', 'samples', 'schemas', 'systemd', 'install.sh', 'package.json', 'package-lock.json'];
export const bootLimitMs = 900_000;

/** A running machine, as the one sees it who switched it on. */
export interface RunningMachine {
  /** For `new Machine`. */
  readonly agent: string;
  /** A file with what its kernel prints. */
  readonly console: string;
  /** At once: nothing on its disk is kept anyway. */
  readonly stop: () => Promise<void>;
}

/** Boots the image with this checkout on a second disk; resolves when libvirt answers. */
export async function boot(image: Image): Promise<RunningMachine> {
  const directory = mkdtempSync(path.join(tmpdir(), 'actualnet-machine-'));
  const file = (name: string) => path.join(directory, name);
  const files = { directory, agent: file('agent'), console: file('console'), checkout: file('checkout.tar') };
  await execa('tar', ['--create', '--file', files.checkout, '--directory', projectDirectory, ...installed]);
  const [program, ...words] = machineCommand(image, files);
  const qemu = execa(program!, words, { reject: false, stdin: 'ignore' });
  const stop = async () => {
    qemu.kill();
    await qemu;
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await Promise.race([isUp(files), endOf(qemu)]);
    return { agent: files.agent, console: files.console, stop };
  } catch (error) {
    const printed = consoleEnd(files.console);
    await stop();
    throw new Error(`the machine did not boot: ${(error as Error).message}\n${printed}`, { cause: error });
  }
}

/** The last lines of a machine's console. */
export function consoleEnd(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(-20).join('\n') : '(none)';
}

async function isUp({ agent }: BootFiles): Promise<void> {
  for (let waits = 0; !existsSync(agent) && waits < 300; waits++) await sleep(100);
  const machine = new Machine(agent, { connectTimeoutMs: bootLimitMs });
  // The agent answers long before the boot is over.
  await machine.sh(
    `systemctl is-system-running --wait || systemctl --failed
     { head -c 65520 /dev/zero; printf '\\372\\364\\353\\375'; head -c 12 /dev/zero; } >${haltRom}
     udevadm settle && ip link show ${cards[0]} && ip link show ${cards[1]} && virsh uri`,
    { timeoutMs: bootLimitMs },
  );
  await machine.disconnect();
}

async function endOf(qemu: Promise<{ readonly stderr: string }>): Promise<never> {
  throw new Error(`QEMU ended: ${(await qemu).stderr}`);
}
