import { commands, isCommandName } from '../cli/commands.ts';
import type { ExitStatus } from '../cli/exit-status.ts';
import { exitStatusOf } from '../cli/exit-status.ts';
import { wordsFor } from '../cli/words.ts';
import { findNearest } from '../config/nearest.ts';
import { ActualnetError, asActualnetError, errorLine } from '../report/error.ts';

/** A lone dash, as the commands see it. */
const stdin = '/dev/stdin';

/** Runs the command that the words name. */
async function main(words: readonly string[]): Promise<ExitStatus> {
  const [name, ...others] = words;
  const host = async () => (await import('./command-host.ts')).commandHost(stdin, name ?? '');
  if (name === undefined) {
    const { glance } = await import('../cli/glance.ts');
    return glance(await host());
  }
  const [asked = ''] = others;
  if (name === 'help' && isCommandName(asked)) return main([asked, '--help']);
  if (name === '--help' || name === '-h' || name === 'help') {
    const { overview } = await import('../cli/overview.ts');
    process.stdout.write(overview());
    return 0;
  }
  if (name === '--version') {
    const wrong = others.find(word => word !== '--verbose');
    if (wrong !== undefined) {
      const hint =
        findNearest(wrong, ['--verbose']) === undefined ? "see 'actualnet --help'" : "did you mean '--verbose'?";
      throw new ActualnetError('USAGE', `'${name}' does not take '${wrong}'`, { hint });
    }
    const { version } = await import('./version.ts');
    process.stdout.write(await version(others.length > 0));
    return 0;
  }
  if (!isCommandName(name)) {
    const near = findNearest(name, [...Object.keys(commands), '--version', '--help']);
    const hint = near === undefined ? "see 'actualnet --help'" : `did you mean '${near}'?`;
    throw new ActualnetError(
      'USAGE',
      name.startsWith('-') ? `a command is needed before '${name}'` : `there is no command '${name}'`,
      { hint },
    );
  }
  const { runCommand } = await import('../cli/run.ts');
  return runCommand(name, words, host, process.stdout.isTTY ? process.stdout.columns : 100);
}

main(wordsFor(process.argv.slice(2), stdin)).then(
  status => {
    process.exitCode = status;
  },
  cause => {
    const error = asActualnetError(cause);
    process.stderr.write(`${errorLine(error)}\n`);
    process.exitCode = exitStatusOf(error);
  },
);
