import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from './agent.ts';

/** How a script inside ended. */
export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Beyond it the script's processes are killed and the call fails. Inside, everything takes many times longer. */
  readonly timeoutMs?: number;
  readonly input?: string;
}

/** `guest-exec-status`, as far as we need it. */
interface ExecStatus {
  readonly exited: boolean;
  readonly exitcode?: number;
  readonly signal?: number;
  readonly 'out-data'?: string;
  readonly 'err-data'?: string;
}

const environment = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LC_ALL=C'];
/** timeout(1) says so when it had to end the script. */
const endedByTimeout = [124, 137];

/** The machine, as its agent lets us use it; connected while it is used. */
export class Machine {
  #socket: string;
  readonly #connectTimeoutMs: number;
  #agent: Promise<Agent> | undefined;

  constructor(socket: string, { connectTimeoutMs = 120_000 } = {}) {
    this.#socket = socket;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /**
   * Runs a bash script as root inside. It ends when all that holds its stdout or stderr has ended, so what shall go on in the
   * background must write elsewhere.
   */
  async run(script: string, { timeoutMs = 300_000, input }: RunOptions = {}): Promise<Ended> {
    this.#agent ??= Agent.connect(this.#socket, this.#connectTimeoutMs);
    const agent = await this.#agent;
    const { pid } = (await agent.call('guest-exec', {
      path: '/usr/bin/timeout',
      arg: ['--kill-after=5', `${timeoutMs / 1000}`, '/bin/bash', '-c', script],
      env: environment,
      'capture-output': true,
      ...(input === undefined ? {} : { 'input-data': Buffer.from(input).toString('base64') }),
    })) as { pid: number };
    // A process that waits in the kernel survives even timeout(1).
    const deadline = Date.now() + timeoutMs + 30_000;
    while (Date.now() < deadline) {
      const now = (await agent.call('guest-exec-status', { pid })) as ExecStatus;
      if (now.exited) return ended(now, script, timeoutMs);
      await sleep(100);
    }
    throw new Error(`the script does not end, and cannot be killed: ${script}`);
  }

  /** Runs a script that must succeed; resolves to its stdout without the last line's end. */
  async sh(script: string, options?: RunOptions): Promise<string> {
    const { status, stdout, stderr } = await this.run(script, options);
    if (status !== 0) throw new Error(`exit status ${status} of: ${script}\n${stderr}${stdout}`.trimEnd());
    return stdout.replace(/\n$/, '');
  }

  /** Writes a file inside, and makes its directory. */
  async putFile(file: string, text: string): Promise<void> {
    await this.sh(`mkdir -p "$(dirname '${file}')" && cat >'${file}'`, { input: text });
  }

  /** Whether its agent answers within a time that even a busy machine keeps. */
  async answers(): Promise<boolean> {
    this.#agent ??= Agent.connect(this.#socket, 60_000);
    const isThere = await this.#agent.then(
      () => true,
      () => false,
    );
    if (!isThere) this.#agent = undefined;
    return isThere;
  }

  /** From now on it is the machine with this agent. */
  moveTo(socket: string): void {
    this.#socket = socket;
    this.#agent = undefined;
  }

  /** Lets go of the agent, which talks with one at a time. */
  async disconnect(): Promise<void> {
    const agent = await this.#agent?.catch(() => undefined);
    this.#agent = undefined;
    agent?.close();
  }
}

function ended(status: ExecStatus, script: string, timeoutMs: number): Ended {
  const { exitcode = 128 + (status.signal ?? 0) } = status;
  const text = (data = '') => Buffer.from(data, 'base64').toString();
  const result = { status: exitcode, stdout: text(status['out-data']), stderr: text(status['err-data']) };
  if (endedByTimeout.includes(exitcode))
    throw new Error(`ended after ${timeoutMs / 1000} s: ${script}\n${result.stderr}${result.stdout}`.trimEnd());
  return result;
}
