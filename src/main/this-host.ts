import { type HostPaths, hostPaths } from '../host/paths.ts';

/** The host's paths; `ACTUALNET_ROOT` moves all of them below a private directory. */
export function thisHost(): HostPaths {
  return hostPaths(process.env.ACTUALNET_ROOT || '/');
}
