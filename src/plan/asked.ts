import { overruledSettings } from '../config/guest-policy.ts';
import { findFinalSettings, findSettings, type Matchable } from '../config/match.ts';
import { findWhole, type GuestRequest } from '../config/requests.ts';
import type { Config, InterfaceSettings } from '../config/types.ts';

/** What the first rule that fits a device asks for it, and its guest. */
export interface Asked {
  readonly ruled: InterfaceSettings;
  /** What the guest may not change of that. */
  readonly final: InterfaceSettings;
  readonly request: GuestRequest | undefined;
  /** The bridge it is to be in, where that is not its definition's to say. */
  readonly bridge: string | undefined;
}

export function askedOf(
  {
    guest,
    config,
    requests,
  }: { readonly guest: string; readonly config: Config; readonly requests: readonly GuestRequest[] },
  device: Omit<Matchable, 'guest' | 'mac' | 'tap'> & { readonly mac?: string; readonly tap?: string },
): Asked {
  const subject = { ...device, guest };
  const ruled = findSettings(config, subject);
  const final = findFinalSettings(config, subject);
  const request = findWhole(requests, device);
  return { ruled, final, request, bridge: final.bridge ?? request?.settings.bridge ?? ruled.bridge };
}

/** The bridge's own settings, then the rule's, then what the guest asks for and may have; a line for each thing that it may not. */
export function weigh(
  ofBridge: InterfaceSettings,
  { ruled, final, request }: Asked,
): { readonly settings: InterfaceSettings; readonly refused: readonly string[] } {
  const configured = { ...ofBridge, ...ruled };
  if (request === undefined) return { settings: configured, refused: [] };
  const refused = overruledSettings({ settings: configured, final }, request);
  const heeded = Object.entries(request.settings).filter(([name]) => !refused.has(name));
  return {
    settings: { ...configured, ...Object.fromEntries(heeded) },
    refused: [...refused].map(([name, why]) => `'${name}' stays as it is configured: ${why}`),
  };
}

/** A line for each request that does not count. */
export function refusedRequests(
  devices: readonly { readonly name: string; readonly refused: readonly string[] }[],
): string[] {
  return devices.flatMap(({ name, refused }) => refused.map(line => `${name}: ${line}`));
}
