import type { Config } from '../config/types.ts';
import type { HostView } from '../kernel/host-view.ts';
import type { GuestDevice } from './guest-device.ts';

/** What is planned for one guest: its connections, and the host it meets. */
export interface PlanContext {
  readonly devices: readonly GuestDevice[];
  readonly config: Config;
  readonly host: HostView;
}
