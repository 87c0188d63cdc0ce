import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execaSync } from 'execa';
import { projectDirectory } from './host.ts';

const limitMs = 300_000;
const init = ['/lib/systemd/systemd', '/usr/lib/systemd/systemd'].find(existsSync);
const namespaces = ['--pid', '--fork', '--kill-child', '--mount', '--net', '--uts', '--ipc', '--cgroup'];

export interface SystemAnswer {
  readonly status: number | undefined;
  /** Both streams, as an administrator sees them. */
  readonly output: string;
}

/**
 * A system of its own, made of this machine's root file system or of another one: what is written there is kept in a private directory. It can
 * be booted with systemd as its first process, as often as is wanted; nothing of it reaches this machine.
 */
export class System {
  readonly state = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'actualnet-system-'));

  constructor(private readonly base = '/') {
    mkdirSync(path.join(this.state, 'out'));
    // Only what tests enable is started; a script of theirs runs when everything else is up, and ends the system.
    this.run(`
      rm -rf /etc/systemd/system/* /etc/fstab /run/actualnet /etc/actualnet /var/lib/actualnet /var/log/actualnet.log*
      printf '[Unit]\\nRequires=multi-user.target test.service\\n' >/etc/systemd/system/test.target
      printf '[Unit]\\nAfter=multi-user.target\\nIgnoreOnIsolate=yes\\n[Service]\\nType=oneshot\\nExecStart=-/bin/sh -c "exec sh -ex /out/script >/out/printed 2>&1"\\nExecStart=systemctl exit 0\\n' >/etc/systemd/system/test.service
      ln -s test.target /etc/systemd/system/default.target`);
  }

  /** Runs a shell script on it, without booting. */
  run(script: string): SystemAnswer {
    return this.#enter(['sh', '-ec', `exec 2>&1\n${script}`]);
  }

  /** Boots it, runs a script when it is up, and shuts it down; answers what the script printed, and its end on the way. */
  boot(script: string): string {
    rmSync(path.join(this.state, 'out/printed'), { force: true });
    writeFileSync(path.join(this.state, 'out/script'), `${script}\necho the script has ended\n`);
    const { status, output } = this.#enter([init!, '--system', '--log-level=warning', '--log-target=console']);
    const printed = this.file('out/printed');
    if (status === 0 && printed.endsWith('the script has ended\n')) return printed;
    throw new Error(`boot: ${status}\n${output}\n${printed}\nconsole:\n${this.file('console').slice(-5000)}`);
  }

  /** What has been written so far is what `goBack` comes back to. */
  keep(): void {
    this.#replace('kept', 'upper');
  }

  goBack(): void {
    this.#replace('upper', 'kept');
  }

  #replace(name: string, other: string): void {
    // Whiteouts and attributes of the overlay are part of it.
    execaSync('sh', ['-ec', `cd "$0"; rm -rf ${name}; cp -a ${other} ${name}`, this.state]);
  }

  /** What a file in the private directory holds, such as `out/NAME` or `upper/PATH`. */
  file(name: string): string {
    const file = path.join(this.state, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  remove(): void {
    rmSync(this.state, { recursive: true, force: true });
  }

  #enter(words: readonly string[]): SystemAnswer {
    const script = path.join(import.meta.dirname, 'system.sh');
    const { exitCode, stdout } = execaSync(
      'unshare',
      [...namespaces, 'sh', script, this.state, this.base, projectDirectory, ...words],
      {
        reject: false,
        stderr: 'ignore',
        stdin: 'ignore',
        timeout: limitMs,
        stripFinalNewline: false,
      },
    );
    return { status: exitCode, output: stdout };
  }
}

/** Why no system can be booted on this machine; undefined if one can. */
export const missingSystem = findMissing();

function findMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root';
  if (init === undefined) return 'there is no systemd';
  let system: System | undefined;
  try {
    system = new System();
    system.boot('systemctl is-active multi-user.target');
    return undefined;
  } catch (error) {
    return `no systemd can be booted here: ${(error as Error).message.split('\n').slice(0, 2).join(' ')}`;
  } finally {
    system?.remove();
  }
}
