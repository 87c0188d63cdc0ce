import { describe, expect, test } from 'vitest';
import { Agent, type AgentHost } from '../../../src/agent/agent.ts';
import { parseConfig } from '../../../src/config/config.ts';
import type { Config } from '../../../src/config/types.ts';
import type { Uuid } from '../../../src/model/values.ts';
import { ActualnetError } from '../../../src/report/error.ts';

const uuid = '0b0e1f52-0000-4000-8000-000000000001' as Uuid;

async function configOf(text: string): Promise<Config> {
  const result = await parseConfig([{ file: 'config.yaml', text }]);
  if ('mistakes' in result) throw new Error(JSON.stringify(result.mistakes));
  return result.config;
}

/** A host on which nothing happens but what the test says. */
function agentOn(role: 'agent' | 'on-demand agent', facts: Partial<AgentHost> = {}) {
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(`warn: ${line}`) };
  const clock = { ms: 1_000_000 };
  const looked: string[] = [];
  const timers: (() => void)[] = [];
  const nothing = () => undefined;
  const host = {
    guests: {
      effects: { now: () => clock.ms },
      hasEnded: () => false,
      cancel: nothing,
      isIncoming: nothing,
      findGuest: () => ({ uuid }),
      log,
    },
    devices: { findGuest: (name: string) => void looked.push(name), log },
    log,
    now: () => clock.ms,
    effects: { now: () => clock.ms },
    loadConfig: async () => configOf(''),
    resolving: {},
    listRecorded: () => [],
    readStates: async () => [],
    readState: nothing,
    listUnfinished: async () => [],
    forgetUnfinished: async () => undefined,
    whatRuns: nothing,
    eventsRead: async () => undefined,
    after: (_: number, call: () => void) => {
      timers.push(call);
      return () => undefined;
    },
    ...facts,
  } as unknown as AgentHost;
  return { agent: new Agent(role, host), lines, clock, looked, timers };
}

const running = { guest: 'web1', state: 'running', reason: 'booted', pid: '7', atMs: 1, devices: 'd' };

describe('the configuration', () => {
  test('a mistake is said once, and again after it was mended', async () => {
    let mistake: string | undefined = 'line 1: no such key';
    const { agent, lines } = agentOn('agent', {
      loadConfig: async () => {
        if (mistake !== undefined) throw new ActualnetError('CONFIG', mistake);
        return configOf('');
      },
    });
    for (let look = 0; look < 3; look++) await agent.look();
    expect(lines).toEqual(['warn: line 1: no such key [CONFIG]']);
    mistake = undefined;
    await agent.look();
    mistake = 'line 1: no such key';
    await agent.look();
    expect(lines).toHaveLength(2);
  });

  test('that asks for something for the first time is carried out for guests that run already', async () => {
    let text = '';
    const opened: string[] = [];
    const { agent } = agentOn('agent', {
      loadConfig: () => configOf(text),
      readStates: async () => [running],
      eventsRead: async () => void opened.push('act'),
    });
    await agent.look();
    await agent.idle();
    expect(opened).toHaveLength(1);
    await agent.look();
    await agent.idle();
    expect(opened).toHaveLength(1);
    text = 'bridges: { br0: { keepForwardingTable: true } }';
    await agent.look();
    await agent.idle();
    expect(opened).toHaveLength(2);
  });
});

describe('devices at which somebody has not finished', () => {
  test('are looked at at once, and again after ten seconds; of a guest that is gone they are forgotten', async () => {
    const forgotten: Uuid[] = [];
    let name: string | undefined = 'web1';
    const { agent, looked, clock } = agentOn('agent', {
      readStates: async () => [running],
      listUnfinished: async () => [{ guest: uuid, name }],
      forgetUnfinished: async guest => void forgotten.push(guest),
    });
    await agent.look();
    await agent.idle();
    const first = looked.length;
    await agent.look();
    await agent.idle();
    expect(looked.length).toBe(first);
    clock.ms += 10_001;
    await agent.look();
    await agent.idle();
    expect(looked.length).toBeGreaterThan(first);
    name = undefined;
    clock.ms += 10_001;
    await agent.look();
    expect(forgotten).toEqual([uuid]);
  });
});

describe('an on-demand agent', () => {
  test('is needed while there is a guest or a record, and ten seconds longer', async () => {
    let recorded: readonly (readonly [string, Uuid])[] = [['web1', uuid]];
    const { agent, clock } = agentOn('on-demand agent', { listRecorded: () => recorded });
    clock.ms += 60_000;
    await agent.look();
    expect(agent.isNeeded()).toBe(true);
    recorded = [];
    clock.ms += 10_000;
    await agent.look();
    expect(agent.isNeeded()).toBe(true);
    clock.ms += 1;
    expect(agent.isNeeded()).toBe(false);
    expect(agentOn('agent').agent.isNeeded()).toBe(true);
  });
});

test('a look that fails is said, and the next one is tried', async () => {
  let fails = true;
  const { agent, lines } = agentOn('agent', {
    readStates: async () => {
      if (fails) throw new Error('no such directory');
      return [running];
    },
  });
  await agent.look();
  expect(lines).toEqual([expect.stringContaining('no such directory')]);
  fails = false;
  await agent.look();
  await agent.idle();
  expect(agent.state(7)).toMatchObject({ role: 'agent', pid: 7, guests: [{ guest: 'web1', wanted: 'open' }] });
});

test('says since when it hears events', () => {
  const { agent, clock } = agentOn('agent');
  expect(agent.state(1).listeningSinceMs).toBe(null);
  clock.ms += 5;
  agent.listens(true);
  expect(agent.state(1).listeningSinceMs).toBe(clock.ms);
  agent.listens(false);
  expect(agent.state(1).listeningSinceMs).toBe(null);
});

test('an event that is none of a lifecycle is passed over; one of a guest is acted on', async () => {
  const { agent } = agentOn('agent');
  agent.hear('error: something else');
  expect(agent.state(1).guests).toEqual([]);
  agent.hear("event 'lifecycle' for domain 'web1': Suspended Paused");
  expect(agent.state(1).guests).toMatchObject([{ guest: 'web1', wanted: 'close', cause: 'Suspended Paused' }]);
  await agent.idle();
});
