import { type ReachPolicy, reachOfState } from '../guest/liveness.ts';
import type { RunState } from '../host/libvirt/run-states.ts';
import type { AgentRole } from '../host/process/one-agent.ts';
import type { GuestName } from '../model/values.ts';
import { errorLine } from '../report/error.ts';
import type { Log } from '../report/log.ts';
import { type LifecycleEvent, type Reach, reachOf } from './lifecycle.ts';

/** What can be carried out for a guest. */
export type Wanted = Exclude<Reach, 'nothing'>;

/** Why something is wanted: an event, or what a status file says. */
export interface Cause {
  readonly event: string;
  readonly detail: string;
  /** When we heard of it, milliseconds since 1970. */
  readonly atMs: number;
}

/** What has been heard of a guest since the last act. */
export interface News {
  /** Why something is wanted; empty if nothing new is. */
  readonly causes: readonly Cause[];
  /** Its devices are others than before, or nobody has looked at them yet. */
  readonly devices: boolean;
}

export interface QueueContext {
  /**
   * Carries out what is wanted for one guest; called again only after it has ended. While it waits for a host that does not
   * answer, it lets others have its place.
   */
  readonly act: (guest: GuestName, wanted: Wanted, news: News, giveWay: () => void) => Promise<void>;
  readonly policy: () => ReachPolicy;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What an agent says of itself; kept for `status`. */
export interface AgentState {
  readonly role: AgentRole;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** Since when libvirt's events come; null while only its status files are looked at. */
  readonly listeningSinceMs: number | null;
  readonly guests: readonly FollowedGuest[];
}

/** What the agent knows of a guest. */
export interface FollowedGuest {
  readonly guest: GuestName;
  readonly wanted: Wanted;
  readonly done: Wanted | undefined;
  readonly cause: string;
  readonly sinceMs: number;
}

interface Known {
  wanted: Wanted;
  done: Wanted | undefined;
  last: Cause;
  /** What its status file said when it was last looked at, whether an event came since, and how often it has contradicted events. */
  said: string;
  heardSince: boolean;
  contradictions: number;
  /** Of its QEMU, once a status file has told. */
  pid: string | undefined;
  /** Heard and not acted on yet; the newest decides, all of them explain. */
  causes: Cause[];
  /** The devices as last seen; `newDevices` until they are acted on. */
  devices: string | undefined;
  newDevices: boolean;
  busy: boolean;
  /** Since when that is so. */
  busyMs: number;
  queued: boolean;
  /** How often the last act failed, one time after the other, and when it may be tried again. */
  failures: number;
  retryMs: number;
  /** Since when it has had no status file. */
  missingMs: number | undefined;
}

/** Of a guest whose state changes faster than it can be acted on, this many causes are kept. */
const maxCauses = 16;
/** Guests acted on at the same time; each needs a few short processes. */
const maxActs = 4;
/** Those that have given way not counted, up to this many. */
const maxWaiting = 32;
/** No act takes as long, and no guest waits as long for its turn. */
const stuckMs = 5 * 60_000;
/** What fails is tried again after a second, then after two, four, and so on. */
const longestRetryMs = 60_000;
/** A guest whose status file is missing may be one whose event came before the file, or whose file is being replaced. */
const goneAfterMs = 5000;
/** After so many looks libvirt has written what an event was about: a file that says something else is right, whatever its time. */
const maxContradictions = 5;

/**
 * Turns what is heard of guests' run states into acts: for each guest one after the other, in the order of the events, the
 * newest state only. Two sources are heard, events and libvirt's status files; a file that was written before the last
 * event says nothing new.
 */
export class GuestQueue {
  readonly #guests = new Map<GuestName, Known>();
  readonly #context: QueueContext;
  readonly #queue: GuestName[] = [];
  #acts = 0;
  #waiting = 0;
  #lastTurnMs = 0;
  #idle: (() => void)[] = [];

  constructor(context: QueueContext) {
    this.#context = context;
  }

  /** An event has come. */
  take({ guest, event, detail }: LifecycleEvent): void {
    const wanted = reachOf({ event, detail }, this.#context.policy());
    if (wanted === 'nothing') return;
    this.#want(guest, wanted, { event, detail, atMs: this.#context.now() });
    this.#guests.get(guest)!.heardSince = true;
  }

  /** The status files as they are now, all of them: what was missed is made up for, and what failed is tried again. */
  catchUp(states: readonly RunState[]): void {
    const policy = this.#context.policy();
    for (const running of states) {
      const { guest, state, reason, pid, atMs, devices } = running;
      const known = this.#guests.get(guest);
      const wanted = reachOfState(state, reason, policy);
      // A guest may end and start again between two looks.
      const isOther = known?.wanted !== wanted || (known.pid !== undefined && known.pid !== pid);
      const isNews = known === undefined || (isOther && this.#isNewer(running, known));
      if (wanted !== 'nothing') {
        if (isNews) this.#want(guest, wanted, { event: state, detail: reason, atMs }, devices);
        this.#guests.get(guest)!.pid = pid;
      }
      this.#noteSaid(running);
      this.takeDevices(running);
    }
    const running = new Set(states.map(({ guest }) => guest));
    const now = this.#context.now();
    for (const [guest, known] of this.#guests) {
      known.missingMs = running.has(guest) ? undefined : (known.missingMs ?? now);
      if (known.missingMs !== undefined && known.wanted !== 'gone' && now - known.missingMs > goneAfterMs)
        this.#want(guest, 'gone', { event: 'gone', detail: 'no status file', atMs: now });
      else if (known.failures > 0 && !known.busy && now >= known.retryMs) this.#want(guest, known.wanted, known.last);
    }
  }

  /**
   * Whether a status file says something that was not known by the last event. Its time tells, if the clock has not been set
   * back: then that nothing was heard since the last look, but the file is another one; or that it goes on saying it.
   */
  #isNewer(running: RunState, known: Known): boolean {
    if (running.atMs > known.last.atMs) return true;
    const isSame = saidBy(running) === known.said;
    if (!known.heardSince && !isSame) return true;
    known.contradictions = isSame ? known.contradictions + 1 : 0;
    return known.wanted !== 'gone' && known.contradictions >= maxContradictions;
  }

  #noteSaid(running: RunState): void {
    const known = this.#guests.get(running.guest);
    if (known === undefined) return;
    known.said = saidBy(running);
    known.heardSince = false;
  }

  /** A status file as it is now, looked at for its devices only: what it says of the state may be behind the events. */
  takeDevices({ guest, devices }: RunState): void {
    const known = this.#guests.get(guest);
    if (known === undefined || known.devices === devices) return;
    known.devices = devices;
    this.lookAtDevices(guest);
  }

  /** A guest's devices are to be looked at, although its status file says nothing new. */
  lookAtDevices(guest: GuestName): void {
    const known = this.#guests.get(guest);
    if (known === undefined) return;
    known.newDevices = true;
    // What failed is tried again in its time.
    if (known.failures === 0) this.#enqueue(guest, known);
    this.#next();
  }

  /** What is wanted is done once more for every guest: something else has changed. */
  again(): void {
    for (const [guest, { wanted, last }] of this.#guests) this.#want(guest, wanted, last);
  }

  /** Whether what there is to do is being done: no act goes on for ever, and the next guest gets its turn. */
  isMoving(): boolean {
    const now = this.#context.now();
    const isStuck = [...this.#guests.values()].some(({ busy, busyMs }) => busy && now - busyMs > stuckMs);
    return !isStuck && (this.#queue.length === 0 || now - this.#lastTurnMs <= stuckMs);
  }

  guests(): FollowedGuest[] {
    return [...this.#guests].map(([guest, { wanted, done, last }]) => ({
      guest,
      wanted,
      done,
      cause: `${last.event} ${last.detail}`,
      sinceMs: last.atMs,
    }));
  }

  /** Resolves once nothing is left to act on. */
  async idle(): Promise<void> {
    if (this.#acts === 0 && this.#queue.length === 0) return;
    await new Promise<void>(resolve => this.#idle.push(resolve));
  }

  #want(guest: GuestName, wanted: Wanted, cause: Cause, devices?: string): void {
    const known = this.#guests.get(guest) ?? {
      wanted,
      done: undefined,
      last: cause,
      said: '',
      heardSince: true,
      contradictions: 0,
      pid: undefined,
      causes: [],
      devices,
      newDevices: devices !== undefined,
      busy: false,
      busyMs: 0,
      queued: false,
      failures: 0,
      retryMs: 0,
      missingMs: undefined,
    };
    this.#guests.set(guest, known);
    known.wanted = wanted;
    known.last = cause;
    known.contradictions = 0;
    this.#enqueue(guest, known);
    known.causes.push(cause);
    if (known.causes.length > maxCauses) known.causes.shift();
    this.#next();
  }

  /** One that is being acted on has its next turn then. */
  #enqueue(guest: GuestName, known: Known): void {
    if (known.busy || known.queued) return;
    known.queued = true;
    this.#queue.push(guest);
  }

  #next(): void {
    while (this.#acts - Math.min(this.#waiting, maxWaiting) < maxActs && this.#queue.length > 0) {
      this.#acts++;
      this.#lastTurnMs = this.#context.now();
      let waits = false;
      const giveWay = () => {
        if (waits) return;
        waits = true;
        this.#waiting++;
        this.#next();
      };
      void this.#act(this.#queue.shift()!, giveWay).finally(() => {
        if (waits) this.#waiting--;
        // Whatever still calls it has lost its say.
        waits = true;
        this.#acts--;
        this.#next();
      });
    }
    if (this.#acts > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #act(guest: GuestName, giveWay: () => void): Promise<void> {
    const known = this.#guests.get(guest)!;
    const { wanted } = known;
    const news = { causes: known.causes.splice(0), devices: known.newDevices };
    known.busy = true;
    known.busyMs = this.#context.now();
    known.queued = false;
    known.newDevices = false;
    try {
      await this.#context.act(guest, wanted, news, giveWay);
      known.done = wanted;
      known.failures = 0;
    } catch (error) {
      known.newDevices ||= news.devices;
      known.retryMs = this.#context.now() + Math.min(1000 * 2 ** known.failures, longestRetryMs);
      known.failures = Math.min(known.failures + 1, 10);
      this.#context.log.warn(`guest '${guest}' could not be made ${words[wanted]}: ${errorLine(error)}`);
    }
    known.busy = false;
    const hasFailed = known.failures > 0;
    if (known.causes.length > 0 || (known.newDevices && !hasFailed)) this.#enqueue(guest, known);
    else if (known.wanted === 'gone' && known.failures === 0) this.#guests.delete(guest);
  }
}

/** What tells one writing of a status file from another. */
function saidBy({ state, reason, pid, atMs }: RunState): string {
  return [state, reason, pid, atMs].join();
}

const words = { open: 'reachable', close: 'unreachable', gone: 'unreachable' } as const;
