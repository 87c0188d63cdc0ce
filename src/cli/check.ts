import { type ConfigFile, parseConfig } from '../config/config.ts';
import type { CommandIo } from './io.ts';

/** `actualnet check`: every mistake in the configuration. False if there is one. */
export async function checkCommand(
  options: { readonly files: readonly ConfigFile[]; readonly format: 'text' | 'json' },
  io: CommandIo,
): Promise<boolean> {
  const result = await parseConfig(options.files);
  const mistakes = 'mistakes' in result ? result.mistakes : [];
  const files = options.files.map(({ file }) => file);
  if (options.format === 'json') io.write(`${JSON.stringify({ files, mistakes }, null, 2)}\n`);
  else if (mistakes.length > 0) io.write(`${mistakes.join('\n')}\n`);
  else io.write(`configuration is fine: ${files.length} file${files.length === 1 ? '' : 's'}\n`);
  return mistakes.length === 0;
}
