import yargs, { type Argv } from 'yargs';
import { findNearest } from '../config/nearest.ts';
import { ActualnetError } from '../report/error.ts';
import type { Command } from './command.ts';
import { type CommandName, commands } from './commands.ts';
import { describeWords } from './describe.ts';
import type { ExitStatus } from './exit-status.ts';
import type { CommandHost } from './host.ts';
import { unmark, unmarked } from './words.ts';

// biome-ignore lint/suspicious/noExplicitAny: each command has words of its own, and only yargs joins them
type AnyCommand = Command<any>;

/** Runs one command with its words, which may also ask for its page of help. Throws `USAGE` for words it does not take. */
export async function runCommand(
  name: CommandName,
  words: readonly string[],
  host: () => Promise<CommandHost>,
  width: number | null,
): Promise<ExitStatus> {
  const command: AnyCommand = await commands[name].load();
  let status: ExitStatus | undefined;
  await yargs()
    .scriptName('actualnet')
    .locale('en')
    .parserConfiguration({ 'parse-positional-numbers': false, 'parse-numbers': false })
    .version(false)
    .wrap(width)
    .middleware(unmark)
    .strict()
    .exitProcess(false)
    .command(
      command.words,
      commands[name].summary,
      (y: Argv) => describeCommand(y, name, command),
      async argv => {
        status = await command.run(argv, await host());
      },
    )
    .fail((message, error) => {
      if (error) throw error;
      throw new ActualnetError(
        'USAGE',
        missingWord(command, message) ??
          unmarked(message)
            .replaceAll('/dev/stdin', '-')
            .replace(/\s*\n\s*/g, ' '),
        {
          hint: hintFor(name, command, { message, words }),
        },
      );
    })
    .parseAsync([...words]);
  return status ?? 0;
}

/** What yargs is told of a command: its words, examples and where to read on. */
export function describeCommand(y: Argv, name: CommandName, command: AnyCommand): Argv {
  const built: Argv = command.builder === undefined ? y : command.builder(y);
  for (const [line, what] of command.examples) built.example(`actualnet ${line}`, what);
  return built
    .usage(`actualnet ${command.words}\n\n${commands[name].summary}`)
    .epilogue(`Exit status: 0 fine, 1 failed, 2 wrong usage, 3 refused or differs. More: ${command.documentation}`);
}

/** Which of a command's words is not there: yargs only counts them. */
function missingWord(command: AnyCommand, message: string): string | undefined {
  const got = /^Not enough non-option arguments: got (\d+)/.exec(message)?.[1];
  const place = command.words.match(/<[^>]+>/g)?.[Number(got)];
  return got === undefined || place === undefined ? undefined : `${place} is missing`;
}

/** The option that was probably meant, or where to read. A word that was not written as an option is none. */
function hintFor(
  name: CommandName,
  command: AnyCommand,
  { message, words }: { readonly message: string; readonly words: readonly string[] },
): string {
  const unknown = /^Unknown arguments?: ([\w-]+)/.exec(message)?.[1];
  const near =
    unknown === undefined || !words.some(word => word.split('=')[0] === `--${unknown}`)
      ? undefined
      : findNearest(
          unknown,
          describeWords(command).map(each => each.name),
        );
  return near === undefined ? `see 'actualnet ${name} --help'` : `did you mean '--${near}'?`;
}
