import type { DeviceHost } from '../agent/follow-devices.ts';
import type { Planning } from '../guest/context.ts';
import type { GuestState } from '../guest/liveness.ts';
import type { PortView } from '../guest/record.ts';
import type { Domain } from '../model/domain.ts';
import type { GuestName, MacAddress, Uuid } from '../model/values.ts';

/** What is told of a port, by libvirt or the record. */
export type KnownPort = Pick<PortView, 'uuid' | 'network' | 'mac'>;

/** The host as attaching and detaching need it. */
export interface HotplugHost {
  readonly following: DeviceHost;
  readonly planning: () => Promise<Planning>;
  /** The name of a guest that is given by its name or uuid. */
  readonly nameOf: (guest: string) => string;
  /** A running guest by libvirt's status file. */
  readonly findGuest: (name: GuestName) => Domain | undefined;
  /** Its definition. */
  readonly findDefinition: (name: GuestName) => Domain | undefined;
  /** The ports that libvirt's networks count for a guest. */
  readonly libvirtPorts: (guest: Uuid) => readonly KnownPort[];
  /** A port that is in our record only. */
  readonly forgetPort: (guest: Uuid, port: PortView) => void;
  readonly runState: (guest: GuestName) => GuestState | undefined;
  /** Runs virsh, with a document as its `--file`; answers what it prints. Throws `ACTION_FAILED` in its words. */
  readonly virsh: (words: readonly string[], document?: string) => Promise<string>;
  /** Keeps others from a guest's devices; the answer ends that, and says whether everything is settled. */
  readonly begin: (guest: Uuid) => Promise<(isSettled: boolean) => void>;
  /** A MAC of QEMU's that no guest here has. */
  readonly newMac: () => MacAddress;
  readonly pause: (ms: number) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Tells of a step. */
  readonly say: (line: string) => void;
}

/** What `--live` and `--config` say, as virsh understands them: without either, what the guest is now. */
export interface Where {
  readonly live: boolean;
  readonly config: boolean;
}
