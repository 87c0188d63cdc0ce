import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: Error) => void;
}

/** A talk with QEMU's guest agent: JSON lines over the socket that is the other end of its serial port. */
export class Agent {
  readonly #socket: Socket;
  readonly #pending = new Map<string, Pending>();
  #last = 0;
  #ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface(socket).on('line', line => this.#take(line));
    socket.on('error', () => undefined).on('close', () => this.#end());
  }

  /** Resolves once the agent answers, which may be after a whole boot. */
  static async connect(path: string, timeoutMs: number): Promise<Agent> {
    const socket = createConnection(path);
    await once(socket, 'connect');
    const agent = new Agent(socket);
    try {
      // No valid UTF-8 has this byte: it ends whatever an earlier talk left half said.
      socket.write(Buffer.of(0xff));
      await agent.call('guest-ping', {}, timeoutMs);
      return agent;
    } catch (error) {
      agent.close();
      throw error;
    }
  }

  async call(command: string, words: Readonly<Record<string, unknown>>, timeoutMs = 120_000): Promise<unknown> {
    if (this.#ended) throw new Error(`the machine's agent is gone, so there is no '${command}'`);
    const id = `${process.pid}-${++this.#last}`;
    const given = new AbortController();
    try {
      return await Promise.race([
        new Promise<unknown>((resolve, reject) => {
          this.#pending.set(id, { resolve, reject });
          this.#socket.write(`${JSON.stringify({ execute: command, arguments: words, id })}\n`);
        }),
        sleep(timeoutMs, undefined, { signal: given.signal }).then(() => {
          throw new Error(`the machine's agent did not answer '${command}' in ${timeoutMs / 1000} s`);
        }),
      ]);
    } finally {
      given.abort();
      this.#pending.delete(id);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Answers nobody waits for, to an earlier talk or to the byte that ended it, are passed over. */
  #take(line: string): void {
    const answer = parseAnswer(line);
    const pending = this.#pending.get(answer.id ?? '');
    if (answer.error) pending?.reject(new Error(`the machine's agent: ${answer.error.desc}`));
    else pending?.resolve(answer.return);
  }

  #end(): void {
    this.#ended = true;
    for (const { reject } of this.#pending.values()) reject(new Error('the connection to the machine ended'));
  }
}

interface Answer {
  readonly id?: string;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

function parseAnswer(line: string): Answer {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}
