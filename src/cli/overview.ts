import { commands, type Group } from './commands.ts';

const titles: Readonly<Record<Group, string>> = {
  look: 'Look',
  compute: 'Compute, touching nothing',
  act: 'Act on the host',
  service: 'For services',
};

/** Help of the whole command line: the commands by what they are for, exit statuses, and where to read on. */
export function overview(): string {
  const entries = Object.entries(commands);
  const wide = Math.max(...entries.map(([name]) => name.length));
  const groups = (Object.keys(titles) as Group[]).map(group => {
    const rows = entries.filter(([, entry]) => entry.group === group);
    return [`${titles[group]}:`, ...rows.map(([name, { summary }]) => `  ${name.padEnd(wide)}  ${summary}`), ''];
  });
  return [
    'Usage: actualnet COMMAND [ARGUMENTS]',
    "The host side of a libvirt guest's network interfaces. Without a command: this host at a glance.",
    '',
    ...groups.flat(),
    'actualnet COMMAND --help tells of one command; actualnet --version [--verbose] of the program.',
    'Exit status: 0 fine, 1 failed, 2 wrong usage, 3 refused or differs.',
    'Documentation: docs/ beside the program, first docs/operations.md.',
    '',
  ].join('\n');
}
