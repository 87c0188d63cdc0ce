import { expect, test } from 'vitest';
import { defaultConfig } from '../../../src/config/config.ts';
import { unplug } from '../../../src/hotplug/detach.ts';
import type { Found } from '../../../src/hotplug/find.ts';
import type { HotplugHost } from '../../../src/hotplug/host.ts';
import { holding } from '../../../src/hotplug/settle.ts';
import { readDomain } from '../../../src/model/domain.ts';
import { ActualnetError } from '../../../src/report/error.ts';
import { oldestLibvirtVersion } from '../../../src/resolve/version.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { hostView } from '../../helpers/host-view.ts';

const uuid = '0b0e1f52-0000-4000-8000-000000000001';
const domain = readDomain(parseXml(`<domain id='1'><name>g</name><uuid>${uuid}</uuid><devices/></domain>`));

/** A host whose configuration can be read only as often as `readings` says. */
function hostWith(readings: number) {
  const said: string[] = [];
  const ends: boolean[] = [];
  let left = readings;
  const planning = async () => {
    if (left-- <= 0) throw new ActualnetError('CONFIG', 'a mistake');
    return {
      config: defaultConfig,
      findNetwork: () => undefined,
      version: () => oldestLibvirtVersion,
      effects: { view: async () => hostView([]) },
    };
  };
  const findGuest = () => domain;
  const following = { findGuest, planning, findRecord: () => undefined, log: { info: () => {}, warn: () => {} } };
  const host = {
    following,
    planning,
    findGuest,
    runState: () => ({ state: 'running', reason: 'booted' }),
    begin: async () => (isSettled: boolean) => ends.push(isSettled),
    virsh: async () => '',
    now: () => 0,
    say: (line: string) => said.push(line),
  } as unknown as HotplugHost;
  return { host, said, ends };
}

test('what failed first is what is told, and what is not settled is left to the agent', async () => {
  const { host, said, ends } = hostWith(2);
  const failing = holding('g', host, async () => {
    throw new ActualnetError('STILL_ATTACHED', 'not let go');
  });
  await expect(failing).rejects.toMatchObject({ code: 'STILL_ATTACHED' });
  expect(said).toEqual(['not settled yet: a mistake [CONFIG]']);
  expect(ends).toEqual([false]);
});

test('everything settled is said to be', async () => {
  const { host, ends } = hostWith(10);
  expect(await holding('g', host, async () => 7)).toBe(7);
  expect(ends).toEqual([true]);
});

test('a device is not gone because nobody can look', async () => {
  const { host } = hostWith(1);
  await expect(unplug('g', { alias: 'net0' } as Found, { limitMs: 0, host })).rejects.toMatchObject({ code: 'CONFIG' });
});
