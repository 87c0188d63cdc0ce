import { defineCommand } from './command.ts';

const flag = { type: 'boolean', default: false } as const;

/** `actualnet uninstall`: takes back what is applied, then removes all that was installed. */
export const command = defineCommand({
  words: 'uninstall',
  builder: y =>
    y
      .option('hooks-dir', { type: 'string', describe: 'only what was put into that directory' })
      .option('force', { ...flag, describe: 'also under guests and networks that run' })
      .option('purge', { ...flag, describe: 'removes the configuration as well' })
      .option('dry-run', { ...flag, describe: 'says what would be done' }),
  examples: [['uninstall --dry-run', 'each file that would be removed']],
  documentation: 'docs/operations.md',
  run: ({ hooksDir, force, purge, dryRun }, { runInstaller }) =>
    runInstaller([
      '--uninstall',
      ...(hooksDir === undefined ? [] : ['--hooks-dir', hooksDir]),
      ...(force ? ['--force'] : []),
      ...(purge ? ['--purge'] : []),
      ...(dryRun ? ['--dry-run'] : []),
    ]),
});
