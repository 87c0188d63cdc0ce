import { type Planning, rewriteForHost } from '../apply/guest.ts';
import type { VfChoice } from '../plan/free-vfs.ts';
import type { CommandIo } from './io.ts';

export interface TransformOptions extends Planning {
  readonly domain: string;
  readonly users: Pick<VfChoice, 'isTaken' | 'networks'>;
}

/** `actualnet transform`: the document as the configuration wants it on this host; without a change the same bytes. */
export async function transformCommand({ domain, users, ...planning }: TransformOptions, io: CommandIo): Promise<void> {
  const { document } = await rewriteForHost(io.readDocument(domain), planning, users);
  io.write(document.text);
}
