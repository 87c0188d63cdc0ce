import { detach } from '../hotplug/detach.ts';
import { ActualnetError } from '../report/error.ts';
import { defineCommand } from './command.ts';
import { hotplugWords, whereOf } from './hotplug-words.ts';

/** `actualnet detach`: by MAC, alias or address. */
export const command = defineCommand({
  words: 'detach <guest> <device>',
  builder: y =>
    hotplugWords(y, 'MAC, alias or PCI address').option('timeout', {
      type: 'string',
      default: '30',
      describe: 'seconds to wait for the guest',
    }),
  examples: [['detach web1 52:54:00:57:00:02', 'by its MAC; net1 or 0000:5e:02.0 would do as well']],
  documentation: 'docs/hotplug.md',
  async run({ guest: given, device, dryRun, timeout, ...words }, { hotplug }) {
    if (!/^\d{1,5}$/.test(timeout)) throw new ActualnetError('USAGE', `'${timeout}' is not a number of seconds`);
    const host = await hotplug();
    const guest = host.nameOf(given);
    const limitMs = Number(timeout) * 1000;
    await detach(guest, device, { where: whereOf(guest, words, host), limitMs, dryRun, host });
    return 0;
  },
});
