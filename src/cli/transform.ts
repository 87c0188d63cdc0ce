import type { Planning } from '../guest/context.ts';
import { type Rewriting, rewriteForHost } from '../guest/rewrite.ts';
import { defineCommand, domainFile } from './command.ts';
import type { CommandIo } from './io.ts';

export interface TransformOptions extends Planning, Pick<Rewriting, 'usersBeside'> {
  readonly domain: string;
}

/** `actualnet transform`: the document as the configuration wants it on this host; without a change the same bytes. */
export async function transformCommand(
  { domain, usersBeside, ...planning }: TransformOptions,
  io: CommandIo,
): Promise<void> {
  const { document } = await rewriteForHost(io.readDocument(domain), planning, { usersBeside });
  io.write(document.text);
}

/** `actualnet transform`. */
export const command = defineCommand({
  words: 'transform <domain>',
  builder: y => y.positional('domain', domainFile),
  examples: [['transform web1.xml', 'prints the document as this host would have it']],
  documentation: 'docs/configuration.md',
  async run({ domain }, { io, planning }) {
    await transformCommand({ domain, ...(await planning()) }, io);
  },
});
