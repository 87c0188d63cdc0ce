import { defineCommand } from './command.ts';

const flag = { type: 'boolean', default: false } as const;

/** `actualnet install`: the tree that this program is in becomes the host's hooks, by its own installer. */
export const command = defineCommand({
  words: 'install',
  builder: y =>
    y
      .option('main', { ...flag, describe: "as libvirt's main hook scripts, where there are none" })
      .option('hooks-dir', { type: 'string', describe: 'only fills that directory, for a test host' })
      .option('restart', {
        ...flag,
        describe: "restarts libvirt's daemons if they have to notice; guests keep running",
      })
      .option('dry-run', { ...flag, describe: 'says what would be done' }),
  examples: [['install --dry-run', 'each file that would be put in place']],
  documentation: 'docs/operations.md',
  run: ({ main, hooksDir, restart, dryRun }, { runInstaller }) =>
    runInstaller([
      ...(main ? ['--main'] : []),
      ...(hooksDir === undefined ? [] : ['--hooks-dir', hooksDir]),
      ...(restart ? ['--restart'] : []),
      ...(dryRun ? ['--dry-run'] : []),
    ]),
});
