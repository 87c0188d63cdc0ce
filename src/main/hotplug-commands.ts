import type { Argv, CommandModule } from 'yargs';
import type { CommandIo } from '../cli/io.ts';
import type { HotplugHost } from '../hotplug/host.ts';
import { ActualnetError } from '../report/error.ts';

/** Made only for the command that is chosen. */
type Host = () => Promise<HotplugHost>;

interface Words {
  readonly guest: string;
  readonly device: string;
  readonly live: boolean;
  readonly config: boolean;
  readonly dryRun: boolean;
}

/** What both take; `device` says how it is named. */
function words<T>(y: Argv<T>, device: string) {
  const flag = { type: 'boolean', default: false } as const;
  return y
    .positional('guest', { type: 'string', demandOption: true, describe: 'name or uuid of the guest' })
    .positional('device', { type: 'string', demandOption: true, describe: device })
    .option('live', { ...flag, describe: 'the running guest' })
    .option('config', { ...flag, describe: 'its definition; without either, what it is now' })
    .option('dry-run', { ...flag, describe: 'shows the steps' });
}

/** `actualnet attach`. */
export function attachModule(host: Host, io: CommandIo): CommandModule<object, Words> {
  return {
    command: 'attach <guest> <device>',
    describe: 'attaches an interface or PCI host device, made ready on the host before and checked after',
    builder: y => words(y, 'device XML file, - for stdin') as unknown as Argv<Words>,
    async handler({ guest, device, live, config, dryRun }) {
      const { attachCommand } = await import('../cli/hotplug.ts');
      await attachCommand({ guest, device, live, config, dryRun, host: await host() }, io);
    },
  };
}

/** `actualnet detach`. */
export function detachModule(host: Host): CommandModule<object, Words & { readonly timeout: string }> {
  const timeout = { type: 'string', default: '30', describe: 'seconds to wait for the guest' } as const;
  return {
    command: 'detach <guest> <device>',
    describe: 'detaches an interface or PCI host device, and waits for the guest to let go of it',
    builder: y =>
      words(y, 'MAC, alias or PCI address').option('timeout', timeout) as unknown as Argv<Words & { timeout: string }>,
    async handler({ guest, device, live, config, dryRun, timeout: seconds }) {
      if (!/^\d{1,5}$/.test(seconds)) throw new ActualnetError('USAGE', `'${seconds}' is not a number of seconds`);
      const { detachCommand } = await import('../cli/hotplug.ts');
      await detachCommand({ guest, device, live, config, dryRun, seconds: Number(seconds), host: await host() });
    },
  };
}
