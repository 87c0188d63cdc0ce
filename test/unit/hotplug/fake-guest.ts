import { defaultConfig } from '../../../src/config/config.ts';
import type { HotplugHost } from '../../../src/hotplug/host.ts';
import { type Domain, readDomain } from '../../../src/model/domain.ts';
import { oldestLibvirtVersion } from '../../../src/resolve/version.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { running } from '../../helpers/documents.ts';
import { hostView } from '../../helpers/host-view.ts';

export const uuid = '0b0e1f52-0000-4000-8000-000000000001';

const domainOf = (devices: string, attributes: string, own = uuid) =>
  `<domain ${attributes}><name>g</name><uuid>${own}</uuid><devices>${devices}</devices></domain>`;

/** A guest by its status file. */
export const status = (devices: string) =>
  readDomain(parseXml(`<domstatus state='running' reason='booted' pid='1'>${domainOf(devices, "id='1'")}</domstatus>`));
/** A guest by its definition. */
export const definition = (devices: string, own = uuid) => readDomain(parseXml(domainOf(devices, "type='kvm'", own)));

/** A pool of that many VFs, `vfs`, of which the first is given away. */
function poolOf(vfs: number) {
  const address = (n: number) => `<address type='pci' domain='0x0000' bus='0x5e' slot='0x02' function='0x${n}'/>`;
  const pool = Array.from({ length: vfs }, (_, n) => address(n)).join('');
  const plug = { type: 'hostdev-pci', managed: true, address: '0000:5e:02.0' };
  return running(`<network><name>vfs</name><forward mode='hostdev' managed='yes'>${pool}</forward></network>`, [
    { plug } as Parameters<typeof running>[1] extends readonly (infer Port)[] | undefined ? Port : never,
  ]);
}

/** A guest whose libvirt does with each command of virsh what `onVirsh` does, and a host without anything. */
export function fakeGuest({
  live,
  defined,
  vfs = 2,
  onVirsh = () => undefined,
}: {
  live?: Domain | undefined;
  defined?: Domain;
  vfs?: number;
  onVirsh?: (words: readonly string[], state: { live: Domain | undefined; defined: Domain | undefined }) => void;
}) {
  const state = { live, defined };
  const said: string[] = [];
  const virsh: string[] = [];
  let nowMs = 0;
  const network = poolOf(vfs);
  const ledger = { read: () => [], append: () => undefined, replace: () => undefined };
  const effects = {
    view: async () => hostView([]),
    sharedNames: () => [],
    guestLedger: () => ledger,
    sharedLedger: () => ledger,
    lock: async () => () => undefined,
    run: async () => [],
  };
  const planning = async () => ({
    config: defaultConfig,
    findNetwork: (name: string) => (name === 'vfs' ? network : undefined),
    version: () => oldestLibvirtVersion,
    effects,
  });
  const findGuest = () => state.live;
  const log = { info: () => undefined, warn: () => undefined };
  const following = { findGuest, planning, findRecord: () => undefined, note: () => undefined, log };
  const host = {
    following,
    planning,
    findGuest,
    findDefinition: () => state.defined,
    runState: () => ({ state: 'running', reason: 'booted' }),
    libvirtPorts: () => [],
    begin: async () => () => undefined,
    async virsh(words: readonly string[], document?: string) {
      virsh.push(words.join(' ').replace(` --domain ${uuid}`, '') + (document === undefined ? '' : ` <<< ${document}`));
      onVirsh(words, state);
      return '';
    },
    now: () => nowMs,
    pause: async (ms: number) => {
      nowMs += ms;
    },
    say: (line: string) => said.push(line),
  } as unknown as HotplugHost;
  return { host, said, virsh, state };
}
