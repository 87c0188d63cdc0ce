import type { Planning } from '../apply/guest.ts';
import { type Rewriting, rewriteForHost } from '../apply/rewrite.ts';
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
