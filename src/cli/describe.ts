import yargs, { type Argv } from 'yargs';
import type { Command } from './command.ts';
import { type CommandName, commands, type Group } from './commands.ts';

/** A positional or an option of a command. */
export interface WordDescription {
  readonly name: string;
  readonly describe: string;
  readonly choices: readonly string[];
  readonly default: string | null;
  /** Whether a value follows it. */
  readonly takesValue: boolean;
  readonly isPositional: boolean;
}

/** A command by all that its page of help says. */
export interface CommandDescription extends Pick<Command, 'words' | 'examples' | 'documentation'> {
  readonly name: CommandName;
  readonly group: Group;
  readonly summary: string;
  readonly arguments: readonly WordDescription[];
}

/** Every command with its words: what manual pages and completion are made from. */
export async function describeCommands(): Promise<CommandDescription[]> {
  const names = Object.keys(commands) as CommandName[];
  return Promise.all(
    names.map(async name => {
      const { group, summary, load } = commands[name];
      const command = (await load()) as Command;
      const { words, examples, documentation } = command;
      return { name, group, summary, words, examples, documentation, arguments: describeWords(command) };
    }),
  );
}

/** What yargs keeps of a builder's words. */
interface Kept {
  getOptions(): Record<'key' | 'choices' | 'default', Record<string, unknown>> & { boolean: readonly string[] };
  getInternalMethods(): { getUsageInstance(): { getDescriptions(): Record<string, string | undefined> } };
}

/** The words of one command, as its builder tells yargs. */
export function describeWords({ words, builder }: Pick<Command, 'words' | 'builder'>): WordDescription[] {
  if (builder === undefined) return [];
  const built = builder(yargs() as Argv) as unknown as Kept;
  const { key, choices, default: defaults, boolean } = built.getOptions();
  const descriptions = built.getInternalMethods().getUsageInstance().getDescriptions();
  const positionals = [...words.matchAll(/[<[]([\w-]+)[>\]]/g)].map(([, name]) => name);
  return Object.keys(key)
    .filter(name => /^[a-z][a-z-]+$/.test(name) && name !== 'help' && name !== 'version')
    .map(name => ({
      name,
      describe: descriptions[name] ?? '',
      choices: (choices[name] ?? []) as string[],
      default: [undefined, false].includes(defaults[name] as undefined) ? null : String(defaults[name]) || null,
      takesValue: !boolean.includes(name),
      isPositional: positionals.includes(name),
    }));
}
