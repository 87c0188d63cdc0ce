import { type Planning, rewriteForHost } from '../apply/guest.ts';
import type { Uuid } from '../model/values.ts';
import type { DeviceUsers } from '../plan/free-vfs.ts';
import type { CommandIo } from './io.ts';

export interface TransformOptions extends Planning {
  readonly domain: string;
  /** Who uses the devices here, but for one guest. */
  readonly usersBeside: (guest: Uuid | undefined) => DeviceUsers;
}

/** `actualnet transform`: the document as the configuration wants it on this host; without a change the same bytes. */
export async function transformCommand(
  { domain, usersBeside, ...planning }: TransformOptions,
  io: CommandIo,
): Promise<void> {
  const { document } = await rewriteForHost(io.readDocument(domain), planning, usersBeside);
  io.write(document.text);
}
