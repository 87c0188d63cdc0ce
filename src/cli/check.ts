import { type Config, type ConfigFile, parseConfig } from '../config/config.ts';
import { findInertSettings } from '../plan/inert-rules.ts';
import type { CommandIo } from './io.ts';

/** `actualnet check`: every mistake in the configuration, and settings that nothing can have. False if there is one. */
export async function checkCommand(
  options: { readonly files: readonly ConfigFile[]; readonly format: 'text' | 'json' },
  io: CommandIo,
): Promise<boolean> {
  const result = await parseConfig(options.files);
  const mistakes = 'mistakes' in result ? result.mistakes : [];
  const inert = 'config' in result ? await describeInert(result.config, options.files) : [];
  const files = options.files.map(({ file }) => file);
  if (options.format === 'json')
    io.write(`${JSON.stringify({ files, mistakes, ...(inert.length > 0 && { inert }) }, null, 2)}\n`);
  else if (mistakes.length + inert.length > 0) io.write(`${[...mistakes, ...inert].join('\n')}\n`);
  else io.write(`configuration is fine: ${files.length} file${files.length === 1 ? '' : 's'}\n`);
  return mistakes.length + inert.length === 0;
}

async function describeInert(config: Config, files: readonly ConfigFile[]): Promise<string[]> {
  const inert = findInertSettings(config);
  if (inert.length === 0) return [];
  const { placesIn } = await import('../config/places.ts');
  const at = placesIn(files);
  return inert.map(({ pointer, why }) => at(pointer, `has no effect on what its rule fits: ${why}`));
}
