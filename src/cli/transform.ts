import type { CommandIo } from './io.ts';

/**
 * `actualnet transform`: the document as the configuration wants it on this host. No rewriting can be configured
 * yet, so a well-formed document comes out as it went in.
 */
export function transformCommand(options: { readonly domain: string }, io: CommandIo): void {
  io.write(io.readDocument(options.domain).text);
}
