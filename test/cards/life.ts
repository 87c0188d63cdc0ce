import type { HookContext } from '../../src/hook/context.ts';
import { type PciAddress, pciAddressAttributes } from '../../src/model/pci-address.ts';
import { guestUuid } from '../helpers/documents.ts';
import type { CardWorld } from './world.ts';

const pf = 'ens1f0';
export const guestMac = (last: number) => `52:54:00:00:00:0${last}`;

function address(world: CardWorld, vf: number, type = ''): string {
  const words = Object.entries(pciAddressAttributes(world.cards.addressOf(pf, vf) as PciAddress));
  return `<address${type} ${words.map(([key, value]) => `${key}='${value}'`).join(' ')}/>`;
}

const poolUuid = '0b0e1f52-0000-4000-8000-0000000000c1';
const passUuid = '0b0e1f52-0000-4000-8000-0000000000c2';

function pool(world: CardWorld): string {
  return `<network><name>vfs</name><forward mode='hostdev' managed='yes'>${address(world, 0, " type='pci'")}</forward></network>`;
}

function passing(): string {
  return `<network><name>pass</name><forward mode='passthrough'><interface dev='${pf}v3'/></forward></network>`;
}

function port(uuid: string, mac: string, inside: string): string {
  return `<networkport><uuid>${uuid}</uuid><owner><name>g1</name><uuid>${guestUuid}</uuid></owner><mac address='${mac}'/>${inside}</networkport>`;
}

/**
 * A guest with a VF from a pool, one as an explicit interface, one as a plain host device that nobody binds, and one below
 * a macvtap: its documents, and what libvirt does between them.
 */
export class CardLife {
  readonly #world: CardWorld;
  #back: (() => void)[] = [];

  constructor(world: CardWorld) {
    this.#world = world;
  }

  guest(form: 'prepare' | 'start'): string {
    const world = this.#world;
    const isStarted = form === 'start';
    const pooled = isStarted
      ? `<interface type='hostdev' managed='yes'><mac address='${guestMac(1)}'/><source>${address(world, 0, " type='pci'")}</source><vlan><tag id='42'/></vlan><alias name='hostdev0'/></interface>`
      : `<interface type='network'><mac address='${guestMac(1)}'/><source network='vfs'/><vlan><tag id='42'/></vlan></interface>`;
    const explicit = `<interface type='hostdev' managed='yes'><mac address='${guestMac(2)}'/><source>${address(world, 1, " type='pci'")}</source></interface>`;
    const plain = `<hostdev mode='subsystem' type='pci' managed='no'><source>${address(world, 2)}</source></hostdev>`;
    const passed = isStarted
      ? `<interface type='direct'><mac address='${guestMac(4)}'/><source dev='${pf}v3' mode='passthrough'/><target dev='macvtap0'/></interface>`
      : `<interface type='network'><mac address='${guestMac(4)}'/><source network='pass'/></interface>`;
    return `<domain type='kvm'${isStarted ? " id='1'" : ''}><name>g1</name><uuid>${guestUuid}</uuid><devices>${pooled}${explicit}${plain}${passed}</devices></domain>`;
  }

  /** The calls of a life in their order, each after what libvirt does before it. */
  readonly steps: readonly {
    readonly operation: string;
    readonly before?: () => void;
    readonly call: (context: HookContext) => Promise<unknown>;
  }[] = [
    { operation: 'prepare', call: context => this.#world.qemu('prepare', this.guest('prepare'), context) },
    { operation: 'port-created', call: context => this.#port('port-created', context) },
    {
      operation: 'start',
      before: () => this.take(),
      call: context => this.#world.qemu('start', this.guest('start'), context),
    },
    { operation: 'started', call: context => this.#world.qemu('started', this.guest('start'), context) },
    { operation: 'stopped', call: context => this.#world.qemu('stopped', this.guest('prepare'), context) },
    { operation: 'port-deleted', before: () => this.giveBack(), call: context => this.#port('port-deleted', context) },
    { operation: 'release', call: context => this.#world.qemu('release', this.guest('prepare'), context) },
  ];

  /** Networks run before the guest. */
  async begin(): Promise<void> {
    for (const xml of [pool(this.#world), passing()]) {
      const name = /<name>(.*?)</.exec(xml)![1]!;
      for (const operation of ['start', 'started'])
        await this.#world.network(name, operation, `<hookData>${xml}</hookData>`);
    }
  }

  take(): void {
    const { cards } = this.#world;
    this.#back = [
      cards.libvirtTakes(pf, 0, { mac: guestMac(1), vlan: 42 }),
      cards.libvirtTakes(pf, 1, { mac: guestMac(2) }),
      cards.libvirtPassesThrough(pf, 3, guestMac(4)),
    ];
  }

  giveBack(): void {
    for (const back of this.#back.splice(0)) back();
  }

  async #port(operation: 'port-created' | 'port-deleted', context: HookContext): Promise<unknown> {
    const pooled = port(
      poolUuid,
      guestMac(1),
      `<vlan><tag id='42'/></vlan><plug type='hostdev-pci' managed='yes'>${address(this.#world, 0)}</plug>`,
    );
    const passed = port(passUuid, guestMac(4), `<plug type='direct' dev='${pf}v3' mode='passthrough'/>`);
    for (const [name, xml, of] of [
      ['vfs', pool(this.#world), pooled],
      ['pass', passing(), passed],
    ] as const) {
      const answer = await this.#world.network(name, operation, `<hookData>${xml}${of}</hookData>`, context);
      // libvirt makes no second port when the first is refused.
      if (answer.status !== 0 || name === 'pass') return answer;
    }
  }
}
