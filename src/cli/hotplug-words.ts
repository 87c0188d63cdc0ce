import type { Argv } from 'yargs';
import type { HotplugHost, Where } from '../hotplug/host.ts';
import { guestName } from './command.ts';

/** What both attaching and detaching take; `device` says how it is named. */
export function hotplugWords<T>(y: Argv<T>, device: string) {
  const flag = { type: 'boolean', default: false } as const;
  return y
    .positional('guest', guestName)
    .positional('device', { type: 'string', demandOption: true, describe: device })
    .option('live', { ...flag, describe: 'the running guest' })
    .option('config', { ...flag, describe: 'its definition; without either, what it is now' })
    .option('dry-run', { ...flag, describe: 'shows the steps' });
}

/** As virsh has it: without either, the guest as it is now. */
export function whereOf(guest: string, words: { live: boolean; config: boolean }, host: HotplugHost): Where {
  const { live, config } = words;
  if (live || config) return { live, config };
  const runs = host.findGuest(guest) !== undefined;
  return { live: runs, config: !runs };
}
