import type { DirectMode } from '../model/interface.ts';

/** What the administrator wants of actualnet. The defaults change nothing on the host. */
export interface Config {
  /** By bridge name. */
  readonly bridges: Readonly<Record<string, BridgeSettings>>;
  readonly taps: {
    readonly create: boolean;
    /** A user name or a uid. */
    readonly owner: string | undefined;
  };
  readonly macvtap: { readonly manage: boolean };
  /** Whether a guest stays open to the network when QEMU stops its CPUs on its own. */
  readonly reachability: {
    readonly ioError: (typeof pausedReaches)[number];
    readonly watchdog: (typeof pausedReaches)[number];
  };
  readonly hostdevs: HostdevSettings;
  readonly limits: {
    /** How long one hook call waits for others, in all: for programs it runs, and for whoever is in front of it. */
    readonly waitSeconds: number;
  };
  /** What becomes of a guest that asks for a setting its interface cannot have. */
  readonly settings: {
    /** Where the setting keeps guests apart: isolation, VLANs, the spoof check, no trust. */
    readonly refusedSecurity: HostdevSettings['refused'];
    readonly refused: HostdevSettings['refused'];
  };
  /** Parts to make when a network or guest first needs them, by name. */
  readonly provide: {
    readonly bridges: Readonly<Record<string, ProvidedBridge>>;
    readonly vlans: Readonly<Record<string, ProvidedVlan>>;
    /** By PF. */
    readonly vfs: Readonly<Record<string, ProvidedVfs>>;
  };
  /** The first rule whose match fits an interface or tap gives its settings. */
  readonly interfaces: readonly InterfaceRule[];
  /** How documents of guests that come to this host are rewritten: the first rule that fits. */
  readonly rewrite: readonly RewriteRule[];
  /** What guests may ask for in their `<metadata>`; of `rules` the first that fits a guest, in place of all the rest. */
  readonly guests: GuestPolicy & {
    readonly rules?: readonly (GuestPolicy & { readonly match: GuestMatch })[];
  };
  /** Why this one counts, and not what the files say now: one line. */
  readonly outdated?: string;
}

export interface HostdevSettings {
  /** Put back the MAC and VLAN that a VF had, which libvirt does not quite. */
  readonly restore: boolean;
  /** Bind devices to a VFIO driver that libvirt does not: `managed='no'` and those of the command line. */
  readonly bind: boolean;
  /** Whether a setting that a VF's driver refuses ends the start. */
  readonly refused: 'fail' | 'warn';
}

export interface BridgeSettings {
  readonly keepForwardingTable: boolean;
  readonly isolated: boolean;
  readonly uplinkVlans: boolean;
  /** Ports that lead out of the host although they are no physical device, bond, team or VLAN device of one. */
  readonly uplinks: readonly string[];
  readonly pfForwardingTable: boolean;
}

export interface ProvidedBridge {
  readonly ports: readonly string[];
  readonly mtu: number | undefined;
  readonly vlanFiltering: boolean;
}

export interface ProvidedVlan {
  readonly link: string;
  readonly id: number;
}

export interface ProvidedVfs {
  readonly count: number;
  /** Network managers are told to leave the VFs' links alone. */
  readonly unmanaged: boolean;
}

export interface InterfaceRule {
  readonly match: InterfaceMatch;
  /** No request of a guest overrides it. */
  readonly final?: boolean;
  readonly settings: InterfaceSettings;
}

/** Patterns, in which `*` stands for any characters. All that are given must fit. */
export interface InterfaceMatch {
  readonly guest?: string;
  readonly mac?: string;
  readonly network?: string;
  readonly bridge?: string;
  readonly tap?: string;
  /** The device below its macvtap. */
  readonly dev?: string;
  readonly portgroup?: string;
  /** The host device: its PCI address, and the PF it belongs to. */
  readonly address?: string;
  readonly pf?: string;
}

/** The host side that an interface or host device gets here; what is not named stays. */
export interface RewriteRule {
  readonly match: InterfaceMatch;
  /** No request of a guest overrides it. */
  readonly final?: boolean;
  readonly network?: string;
  /** Null takes it away. */
  readonly portgroup?: string | null;
  readonly bridge?: string;
  readonly dev?: string;
  readonly mode?: DirectMode;
  readonly target?: string;
  readonly alias?: string;
  /** A free VF of one of these PFs, by name or pattern. */
  readonly vfs?: readonly string[];
}

export const interfaceSettings = [
  'bridge',
  'vlan',
  'isolated',
  'keepForwardingTable',
  'mtu',
  'trust',
  'spoofchk',
  'linkState',
  'maxTxRate',
  'minTxRate',
  'vlanQos',
  'vlanProto',
  'queryRss',
  'announce',
] as const;

export type InterfaceSetting = (typeof interfaceSettings)[number];

/** Where a guest wants to be connected on the host it comes to; the rest are settings. */
export const guestPlaces = ['network', 'portgroup', 'dev', 'mode', 'target', 'alias', 'vfs'] as const;

export type GuestChoice = InterfaceSetting | (typeof guestPlaces)[number];

const pausedReaches = ['close', 'open'] as const;

export const linkStates = ['auto', 'enable', 'disable'] as const;

export const vlanProtocols = ['802.1Q', '802.1ad'] as const;

export interface InterfaceSettings {
  readonly bridge?: string;
  readonly vlan?: readonly number[];
  readonly isolated?: boolean;
  readonly keepForwardingTable?: boolean;
  readonly mtu?: number;
  /** The rest is for VFs, in iproute2's words; rates in Mbit/s. */
  readonly trust?: boolean;
  readonly spoofchk?: boolean;
  readonly linkState?: (typeof linkStates)[number];
  readonly maxTxRate?: number;
  readonly minTxRate?: number;
  readonly vlanQos?: number;
  readonly vlanProto?: (typeof vlanProtocols)[number];
  readonly queryRss?: boolean;
  /** IPv4 addresses to tell the network about when the guest is opened, because the guest cannot. */
  readonly announce?: readonly string[];
}

export interface ConfigFile {
  /** The name that mistakes carry. */
  readonly file: string;
  readonly text: string;
}

/** What is allowed, and among what. Of the optional ones an absent one bounds nothing. */
export interface GuestPolicy {
  readonly allow: readonly GuestChoice[];
  readonly bridges: readonly string[];
  readonly networks: readonly string[];
  /** Devices below macvtaps, and PFs. */
  readonly devices: readonly string[];
  /** `100`, `100-199`. */
  readonly vlans?: readonly (number | string)[];
  /** What may be announced: `192.0.2.7`, `192.0.2.0/24`. */
  readonly addresses?: readonly string[];
  readonly portgroups?: readonly string[];
  readonly targets?: readonly string[];
  readonly aliases?: readonly string[];
  /** Absent: those that leave the device to others as well. */
  readonly modes?: readonly DirectMode[];
  /** The largest number of each. */
  readonly most?: Readonly<Partial<Record<'mtu' | 'maxTxRate' | 'minTxRate' | 'vlanQos', number>>>;
  /** What keeps others safe from the guest, and may be made weaker than configured all the same. */
  readonly loosen?: readonly ('isolated' | 'spoofchk')[];
}

/** Patterns; all that are given must fit. */
export interface GuestMatch {
  readonly guest?: string;
  readonly uuid?: string;
}
