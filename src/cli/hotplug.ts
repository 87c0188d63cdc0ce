import { attach } from '../hotplug/attach.ts';
import { checkGuest } from '../hotplug/check.ts';
import { detach } from '../hotplug/detach.ts';
import type { HotplugHost, Where } from '../hotplug/host.ts';
import { ActualnetError, printable } from '../report/error.ts';
import { jsonText } from '../report/visible.ts';
import type { CommandIo } from './io.ts';

interface Options {
  readonly guest: string;
  readonly live: boolean;
  readonly config: boolean;
  readonly dryRun: boolean;
  readonly host: HotplugHost;
}

/** `actualnet attach GUEST DEVICE.xml`: an interface or PCI host device, made ready before and checked after. */
export async function attachCommand(
  { device, ...options }: Options & { readonly device: string },
  io: CommandIo,
): Promise<void> {
  const { dryRun, host } = options;
  const guest = host.nameOf(options.guest);
  await attach(guest, io.readDocument(device), { where: whereOf(guest, options), dryRun, host });
}

/** `actualnet detach GUEST DEVICE`: by MAC, alias or address. */
export async function detachCommand({
  device,
  seconds,
  ...options
}: Options & { readonly device: string; readonly seconds: number }): Promise<void> {
  const { dryRun, host } = options;
  const guest = host.nameOf(options.guest);
  await detach(guest, device, { where: whereOf(guest, options), limitMs: seconds * 1000, dryRun, host });
}

/** As virsh has it: without either, the guest as it is now. */
function whereOf(guest: string, { live, config, host }: Options): Where {
  if (live || config) return { live, config };
  const runs = host.findGuest(guest) !== undefined;
  return { live: runs, config: !runs };
}

/** `actualnet status --check GUEST`: what does not agree. */
export async function checkGuestCommand(
  {
    guest: given,
    format,
    host,
  }: { readonly guest: string; readonly format: 'table' | 'json'; readonly host: HotplugHost },
  io: CommandIo,
): Promise<void> {
  const guest = host.nameOf(given);
  const findings = await checkGuest(guest, host);
  if (format === 'json') io.write(jsonText({ guest, findings }));
  else io.write(findings.length === 0 ? 'everything agrees\n' : findings.map(line => `${printable(line)}\n`).join(''));
  if (findings.length > 0)
    throw new ActualnetError('CHECK_FAILED', `guest '${guest}': ${findings.length} things do not agree`, {
      hint: "'actualnet recover' takes back what nothing needs any more",
    });
}
