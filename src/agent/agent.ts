import { defaultConfig } from '../config/config.ts';
import type { Config } from '../config/types.ts';
import type { Planning } from '../guest/context.ts';
import type { Running } from '../guest/recover.ts';
import type { RunState } from '../host/libvirt/run-states.ts';
import type { AgentRole } from '../host/process/one-agent.ts';
import type { Effects } from '../journal/effects.ts';
import type { GuestName, Uuid } from '../model/values.ts';
import { isPassive } from '../plan/plan.ts';
import { ActualnetError, errorLine } from '../report/error.ts';
import type { Log } from '../report/log.ts';
import { type FollowHost, followRunState } from './follow.ts';
import { type DeviceHost, followDevices } from './follow-devices.ts';
import { garbageCollector } from './garbage.ts';
import { readEventLine } from './lifecycle.ts';
import { type AgentState, GuestQueue, type News, type Wanted } from './queue.ts';

/** What takes longer waits for a host that does not answer. */
const giveWayMs = 2000;
/** Devices that could not be settled are looked at again after this. */
const settleAgainMs = 10_000;
/** An on-demand agent stays this long after it was last needed: a guest may be about to come. */
const lingerMs = 10_000;

/** The host as the agent needs it. */
export interface AgentHost {
  /** Where run states are followed. */
  readonly guests: Omit<FollowHost, 'planning' | 'findRecorded'>;
  /** Where devices are. */
  readonly devices: Omit<DeviceHost, 'planning'>;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly effects: Effects;
  readonly loadConfig: () => Promise<Config>;
  /** All else that planning needs. */
  readonly resolving: Omit<Planning, 'config' | 'effects'>;
  /** The names and uuids of all guests of which there is a record. */
  readonly listRecorded: () => readonly (readonly [name: GuestName, guest: Uuid])[];
  /** The run states of all guests, by libvirt's status files. */
  readonly readStates: () => Promise<readonly RunState[]>;
  /** That of one whose file was just written; undefined if it cannot be read. */
  readonly readState: (guest: GuestName) => RunState | undefined;
  /** Guests at whose devices somebody has not finished, with their names if they run. */
  readonly listUnfinished: () => Promise<readonly { readonly guest: Uuid; readonly name: GuestName | undefined }[]>;
  readonly forgetUnfinished: (guest: Uuid) => Promise<void>;
  readonly whatRuns: () => Running;
  /** Resolves when all events that have come by now have been heard. */
  readonly eventsRead: () => Promise<void>;
  /** Calls after that many milliseconds, unless the answer is called before. */
  readonly after: (ms: number, call: () => void) => () => void;
}

/**
 * Follows the run states and devices of this host's guests: hears events and status files, and looks around once in a while.
 * It has no clock, timer or process of its own: whoever runs it calls `look` again and again.
 */
export class Agent {
  readonly #role: AgentRole;
  readonly #host: AgentHost;
  readonly #queue: GuestQueue;
  readonly #uuids = new Map<GuestName, Uuid>();
  readonly #settledMs = new Map<Uuid, number>();
  readonly #collect: () => Promise<void>;
  readonly #collecting = new Set<Promise<void>>();
  readonly #sinceMs: number;
  #neededMs: number;
  #listeningSinceMs: number | null = null;
  #config: Config | undefined;
  /** What was reported last of the configuration, and of devices: said once. */
  #mistake = '';
  #unsettled = '';

  constructor(role: AgentRole, host: AgentHost) {
    this.#role = role;
    this.#host = host;
    this.#sinceMs = host.now();
    this.#neededMs = this.#sinceMs;
    this.#collect = garbageCollector(host.whatRuns, host);
    this.#queue = new GuestQueue({
      log: host.log,
      now: host.now,
      policy: () => (this.#config ?? defaultConfig).reachability,
      act: (guest, wanted, news, giveWay) => this.#act(guest, { wanted, news, giveWay }),
    });
  }

  /** A line that `virsh event` has printed. */
  hear(line: string): void {
    const event = readEventLine(line);
    if (event !== undefined) this.#queue.take(event);
  }

  /** Events come from now on, or no more. */
  listens(isListening: boolean): void {
    this.#listeningSinceMs = isListening ? this.#host.now() : null;
  }

  /** libvirt has written the status file of a guest. */
  written(guest: GuestName): void {
    const state = this.#host.readState(guest);
    if (state === undefined) this.#queue.lookAtDevices(guest);
    else this.#queue.takeDevices(state);
  }

  /** One look around: configuration, status files, what was left unfinished, what has ended unseen. Never throws. */
  async look(): Promise<void> {
    const host = this.#host;
    try {
      await this.reload();
      this.#queue.catchUp(await host.readStates());
      await this.#lookAtUnfinished();
      const turn = this.#collect();
      this.#collecting.add(turn);
      void turn.finally(() => this.#collecting.delete(turn));
      if (host.listRecorded().length > 0 || this.#queue.guests().length > 0) this.#neededMs = host.now();
    } catch (error) {
      host.log.warn(errorLine(error));
    }
  }

  /** Reads the configuration. The last one without a mistake counts: whoever mends it must not leave guests where they are not. */
  async reload(): Promise<void> {
    try {
      const before = this.#config;
      this.#config = await this.#host.loadConfig();
      this.#reportMistake(this.#config.outdated ?? '');
      // What was not asked for before is due now, for guests that run already.
      if (before !== undefined && isPassive(before) && !isPassive(this.#config)) this.#queue.again();
    } catch (error) {
      this.#reportMistake(errorLine(error));
    }
  }

  /** Whether there is, or was a moment ago, anything to follow; the agent of a service stays anyhow. */
  isNeeded(): boolean {
    return this.#role === 'agent' || this.#host.now() - this.#neededMs <= lingerMs;
  }

  /** Whether what there is to do is being done. */
  isMoving(): boolean {
    return this.#queue.isMoving();
  }

  /** What it says of itself. */
  state(pid: number): AgentState {
    const [role, sinceMs, listeningSinceMs] = [this.#role, this.#sinceMs, this.#listeningSinceMs];
    return { role, pid, sinceMs, listeningSinceMs, guests: this.#queue.guests() };
  }

  /** Resolves once nothing is left at work. */
  async idle(): Promise<void> {
    await Promise.all([this.#queue.idle(), ...this.#collecting]);
  }

  async #act(
    guest: GuestName,
    { wanted, news, giveWay }: { wanted: Wanted; news: News; giveWay: () => void },
  ): Promise<void> {
    const host = this.#host;
    const cancel = host.after(giveWayMs, giveWay);
    try {
      // Events are read first: of many guests' acts one after the other, each is to be for the newest state.
      await host.eventsRead();
      if (news.causes.length > 0) await followRunState(guest, wanted, news.causes, this.#followHost());
      if (news.devices && wanted !== 'gone') await this.#followDevices(guest, wanted !== 'open');
    } finally {
      cancel();
    }
    if (wanted === 'gone') this.#uuids.delete(guest);
  }

  /** A guest that was found is known by its uuid from then on, also when its file has gone. */
  #followHost(): FollowHost {
    const { guests } = this.#host;
    const findGuest = (name: GuestName) => {
      const domain = guests.findGuest(name);
      if (domain?.uuid !== undefined) this.#uuids.set(name, domain.uuid);
      return domain;
    };
    return { ...guests, findGuest, planning: () => this.#planning(), findRecorded: name => this.#uuidOf(name) };
  }

  /** What could not be settled is marked as such, and looked at again: the guest's run state need not wait for it. */
  async #followDevices(guest: GuestName, paused: boolean): Promise<void> {
    const host = { ...this.#host.devices, planning: () => this.#planning() };
    try {
      await followDevices(guest, { paused, host });
    } catch (error) {
      if (this.#unsettled !== errorLine(error)) this.#host.log.warn(errorLine(error));
      this.#unsettled = errorLine(error);
    }
  }

  /** Throws `CONFIG` as long as there has been no configuration without a mistake. */
  async #planning(): Promise<Planning> {
    await this.reload();
    if (this.#config === undefined)
      throw new ActualnetError('CONFIG', 'there is no configuration without a mistake yet');
    return { ...this.#host.resolving, config: this.#config, effects: this.#host.effects };
  }

  #uuidOf(name: GuestName): Uuid | undefined {
    // One look at the records tells of all guests.
    if (!this.#uuids.has(name)) for (const [known, uuid] of this.#host.listRecorded()) this.#uuids.set(known, uuid);
    return this.#uuids.get(name);
  }

  /** Once at once, then now and then. Of a guest that has ended its own end has undone everything. */
  async #lookAtUnfinished(): Promise<void> {
    const unfinished = await this.#host.listUnfinished();
    const known = new Set(unfinished.map(({ guest }) => guest));
    for (const guest of this.#settledMs.keys()) if (!known.has(guest)) this.#settledMs.delete(guest);
    for (const { guest, name } of unfinished) {
      if (this.#host.now() - (this.#settledMs.get(guest) ?? 0) < settleAgainMs) continue;
      this.#settledMs.set(guest, this.#host.now());
      if (name === undefined) await this.#host.forgetUnfinished(guest);
      else this.#queue.lookAtDevices(name);
    }
  }

  #reportMistake(line: string): void {
    if (line !== this.#mistake && line !== '') this.#host.log.warn(line);
    this.#mistake = line;
  }
}
