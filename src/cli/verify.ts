import { checkGuest } from '../hotplug/check.ts';
import { ActualnetError, printable } from '../report/error.ts';
import { jsonText } from '../report/visible.ts';
import { defineCommand, formatOption, guestName } from './command.ts';

/** `actualnet verify GUEST`: what does not agree. Throws `CHECK_FAILED` if there is any of it. */
export const command = defineCommand({
  words: 'verify <guest>',
  builder: y => y.positional('guest', guestName).option('format', formatOption),
  examples: [['verify web1', 'compares libvirt, the host and our record of web1']],
  documentation: 'docs/hotplug.md',
  async run({ guest: given, format }, { io, hotplug }) {
    const host = await hotplug();
    const guest = host.nameOf(given);
    const findings = await checkGuest(guest, host);
    if (format === 'json') io.write(jsonText({ guest, findings }));
    else
      io.write(findings.length === 0 ? 'everything agrees\n' : findings.map(line => `${printable(line)}\n`).join(''));
    if (findings.length === 0) return 0;
    const things = findings.length === 1 ? '1 thing does' : `${findings.length} things do`;
    throw new ActualnetError('CHECK_FAILED', `guest '${guest}': ${things} not agree`, {
      hint: "'actualnet recover' takes back what nothing needs any more",
    });
  },
});
