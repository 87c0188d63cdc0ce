/*
 * How a command is added: a file src/cli/NAME.ts exports `command = defineCommand({ ... })`; a row in src/cli/commands.ts names its
 * group and says in a line what it does. What it needs of this host it takes from CommandHost (src/cli/host.ts); a new need is
 * one member there and one in src/main/command-host.ts. What it prints as JSON has a schema in schemas/. Help, manual pages
 * and completion are made from the table and these modules.
 */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { ExitStatus } from './exit-status.ts';
import type { CommandHost } from './host.ts';

/** A command as yargs is told of it. `Words` are its positionals and options. */
export interface Command<Words = unknown> {
  /** Its name and positionals in yargs' notation, like `status [guest]`. */
  readonly words: string;
  readonly builder?: ((y: Argv) => Argv<Words>) | undefined;
  /** Command lines that can be tried, without the program's name, each with what it does. */
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** The page that says more, from the project's top. */
  readonly documentation: string;
  /** Ends with 0 where it says nothing else. */
  readonly run: (words: ArgumentsCamelCase<Words>, host: CommandHost) => Promise<ExitStatus | undefined>;
}

/** The command itself; what it hands to `run` is what its builder declares. */
export function defineCommand<Words>(command: Command<Words>): Command<Words> {
  return command;
}

/** The option that most commands have. */
export const formatOption = {
  choices: ['table', 'json'] as const,
  default: 'table' as const,
  describe: 'a table for people, or JSON for programs',
} as const;

/** A positional that names a domain document. */
export const domainFile = { type: 'string', demandOption: true, describe: 'domain XML file, - for stdin' } as const;

/** A positional that names a guest; the record of one that is gone counts, too. */
export const guestName = { type: 'string', demandOption: true, describe: 'name or uuid of a guest' } as const;
