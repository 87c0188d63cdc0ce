import { attach } from '../hotplug/attach.ts';
import { defineCommand } from './command.ts';
import { hotplugWords, whereOf } from './hotplug-words.ts';

/** `actualnet attach`: an interface or PCI host device, made ready before and checked after. */
export const command = defineCommand({
  words: 'attach <guest> <device>',
  builder: y => hotplugWords(y, 'device XML file, - for stdin'),
  examples: [['attach web1 interface.xml --live', 'the running guest gets it; its definition stays']],
  documentation: 'docs/hotplug.md',
  async run({ guest: given, device, dryRun, ...words }, { io, hotplug }) {
    const host = await hotplug();
    const guest = host.nameOf(given);
    await attach(guest, io.readDocument(device), { where: whereOf(guest, words, host), dryRun, host });
    return 0;
  },
});
