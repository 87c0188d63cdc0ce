import { parseConfig } from '../config/config.ts';
import { findRemarks } from '../config/remarks.ts';
import type { Config, ConfigFile } from '../config/types.ts';
import { findInertSettings } from '../plan/inert-rules.ts';
import { printable } from '../report/error.ts';
import { jsonText } from '../report/visible.ts';
import { defineCommand } from './command.ts';
import type { CommandIo } from './io.ts';

/**
 * `actualnet check`: every mistake in the configuration, settings that nothing can have, and what is hardly meant. False if
 * there is one of the first two.
 */
export async function checkCommand(
  options: {
    readonly files: readonly ConfigFile[];
    /** Files beside them that look like parts of the configuration and are none. */
    readonly unread: readonly string[];
    readonly format: 'text' | 'json';
  },
  io: CommandIo,
): Promise<boolean> {
  const result = await parseConfig(options.files);
  const mistakes = 'mistakes' in result ? result.mistakes : [];
  const inert = 'config' in result ? await describeInert(result.config, options.files) : [];
  const remarks = [
    ...findRemarks(options.files),
    ...options.unread.map(file => printable(`${file}: is not read: only config.yaml and conf.d/*.yaml are`)),
  ];
  const files = options.files.map(({ file }) => file);
  if (options.format === 'json') io.write(jsonText({ files, mistakes, ...(inert.length > 0 && { inert }), remarks }));
  else io.write(lines({ files, mistakes: [...mistakes, ...inert], remarks }));
  return mistakes.length + inert.length === 0;
}

async function describeInert(config: Config, files: readonly ConfigFile[]): Promise<string[]> {
  const inert = findInertSettings(config);
  if (inert.length === 0) return [];
  const { placesIn } = await import('../config/places.ts');
  const at = placesIn(files);
  return inert.map(({ pointer, why }) => at(pointer, `has no effect on what its rule fits: ${why}`));
}

function lines({ files, mistakes, remarks }: Record<'files' | 'mistakes' | 'remarks', readonly string[]>): string {
  const fine = `configuration is fine: ${files.length} file${files.length === 1 ? '' : 's'}`;
  const told = mistakes.length === 0 ? [fine] : mistakes;
  return [...told, ...remarks.map(remark => `remark: ${remark}`)].map(line => `${line}\n`).join('');
}

/** `actualnet check`. */
export const command = defineCommand({
  words: 'check',
  builder: y =>
    y.option('format', {
      choices: ['text', 'json'] as const,
      default: 'text' as const,
      describe: 'lines for people, or JSON for programs',
    }),
  examples: [['check', 'tells of every mistake with file, line and key']],
  documentation: 'docs/configuration.md',
  async run({ format }, { configFiles, io }) {
    return (await checkCommand({ ...configFiles(), format }, io)) ? 0 : 3;
  },
});
