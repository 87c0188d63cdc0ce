import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readDomain } from '../../src/model/domain.ts';
import { findAbiBreaks } from '../../src/transform/abi.ts';
import { parseXml } from '../../src/xml/document.ts';
import { running } from '../helpers/documents.ts';
import { guestXml, hostBridgeNetwork, interfaceXml, onNetwork, ownBridgeNetwork } from './documents.ts';
import { titled } from './expectations.ts';
import type { LibvirtHost } from './host.ts';
import { missingInKernel, missingPrerequisite } from './prerequisites.ts';
import { startTwoHosts, stopHosts, type TwoHosts } from './two-hosts.ts';

const networks = [
  ownBridgeNetwork('lan', { bridge: "name='virbr7'" }),
  hostBridgeNetwork('prod', 'br0', "<portgroup name='red'/>"),
];
const image = '/var/lib/libvirt/rewrite.saved';

describe.skipIf(missingPrerequisite)(titled('what libvirt lets a document become', missingPrerequisite), () => {
  const guest = 'judged';
  let hosts: TwoHosts;
  let a: LibvirtHost;
  let document = '';

  beforeAll(async () => {
    hosts = await startTwoHosts(networks);
    ({ a } = hosts);
    await a.define(
      guestXml(guest, [
        onNetwork('lan', 0x61, {
          inside: "<driver name='qemu'/><mtu size='1400'/><acpi index='7'/><target dev='first0'/>",
        }),
        interfaceXml('bridge', 0x62, "<source bridge='br0'/><alias name='ua-second'/>"),
      ]),
    );
    await a.virsh('start', guest);
    await a.virsh('save', guest, `${image}.first`);
    await a.run('cp', `${image}.first`, image);
    document = await a.virsh('save-image-dumpxml', image);
  });
  afterAll(() => stopHosts(hosts));

  const swap = (xml: string, from: string | RegExp, to: string) => {
    expect(xml).toMatch(from);
    return xml.replace(from, to);
  };
  const second = /<interface type='bridge'>[\s\S]*?<\/interface>/;
  const first = /<interface type='network'>[\s\S]*?<\/interface>/;

  test.each<[name: string, edit: (xml: string) => string]>([
    ['nothing', xml => xml],
    ['another network', xml => swap(xml, "network='lan'", "network='prod'")],
    ['a portgroup', xml => swap(xml, "network='lan'", "network='prod' portgroup='red'")],
    [
      'a bridge',
      xml =>
        swap(
          xml,
          /<interface type='network'>([\s\S]*?)<source network='lan'\/>/,
          "<interface type='bridge'>$1<source bridge='br0'/>",
        ),
    ],
    [
      'a network for a bridge',
      xml =>
        swap(
          xml,
          /<interface type='bridge'>([\s\S]*?)<source bridge='br0'\/>/,
          "<interface type='network'>$1<source network='prod'/>",
        ),
    ],
    ['another target', xml => swap(xml, "dev='first0'", "dev='other0'")],
    ['another alias', xml => swap(xml, 'ua-second', 'ua-third')],
    ['another driver name', xml => swap(xml, "<driver name='qemu'/>", "<driver queues='1'/>")],
    ['another MAC', xml => swap(xml, 'ac:00:61', 'ac:00:71')],
    ['another model', xml => swap(xml, /(ac:00:62[\s\S]*?)<model type='virtio'\/>/, "$1<model type='e1000'/>")],
    ['another MTU', xml => swap(xml, "size='1400'", "size='1300'")],
    [
      'an MTU where there was none',
      xml => swap(xml, "<source bridge='br0'/>", "<source bridge='br0'/><mtu size='1300'/>"),
    ],
    ['no driver', xml => swap(xml, "<driver name='qemu'/>", '')],
    [
      'a driver where there was none',
      xml => swap(xml, "<source bridge='br0'/>", "<source bridge='br0'/><driver name='qemu'/>"),
    ],
    ['a virtio flag', xml => swap(xml, "<driver name='qemu'/>", "<driver name='qemu' packed='on'/>")],
    ['another ACPI index', xml => swap(xml, "<acpi index='7'/>", "<acpi index='8'/>")],
    ['another guest address', xml => swap(xml, /(ac:00:62[\s\S]*?slot=')0x[0-9a-f]+'/, "$10x1e'")],
    ['one interface less', xml => swap(xml, second, '')],
    [
      'one interface more',
      xml => swap(xml, second, interfaceXml('bridge', 0x63, "<source bridge='br0'/>") + second.exec(xml)![0]),
    ],
    ['another order', xml => swap(swap(xml, second, ''), first, second.exec(xml)![0] + first.exec(xml)![0])],
    [
      'a host device instead of a network',
      xml =>
        swap(
          xml,
          /<interface type='network'>([\s\S]*?)<source network='lan'\/>/,
          "<interface type='hostdev'>$1<source><address type='pci' domain='0' bus='0' slot='0x1d' function='0'/></source>",
        ).replace(/(<interface type='hostdev'>[\s\S]*?<driver name=)'qemu'/, "$1'vfio'"),
    ],
  ])('%s: the same verdict as ours', async (_, edit) => {
    const edited = edit(document);
    const read = (xml: string) => readDomain(parseXml(xml));
    const findNetwork = (name: string) =>
      networks.map(xml => running(xml)).find(({ network }) => network.name === name);
    const ours = findAbiBreaks(read(document), read(edited), findNetwork);
    await a.runWith(edited, 'sh', '-c', 'cat >/var/lib/libvirt/edited.xml');
    const libvirts = await a.virsh('restore', image, '--xml', '/var/lib/libvirt/edited.xml').then(
      () => undefined,
      (error: Error) => /error: ((?!Failed).*)/.exec(error.message)?.[1] ?? error.message,
    );
    if (libvirts === undefined) {
      await a.virsh('destroy', guest);
      await a.run('cp', `${image}.first`, image);
    }
    expect({ refused: ours.length > 0, ours, libvirts }).toMatchObject({ refused: libvirts !== undefined });
  });
});

describe.skipIf(missingPrerequisite)(
  titled('a guest that goes to a host with other names', missingPrerequisite),
  () => {
    const guest = 'renamed';
    let hosts: TwoHosts;
    let a: LibvirtHost;
    let b: LibvirtHost;
    const macvtap = missingInKernel.macvtap === undefined;
    /** Two hosts with different names for the same things; each knows what the other calls them. */
    const config = {
      a: `rewrite:
  - { match: { guest: renamed, mac: '*:61' }, bridge: br0, target: a-first }
  - { match: { guest: renamed, mac: '*:62' }, network: lan, alias: ua-on-a }
`,
      b: `rewrite:
  - { match: { guest: renamed, mac: '*:61' }, ${macvtap ? 'dev: eth1, mode: bridge' : 'network: prod, portgroup: red'}, target: b-first }
  - { match: { guest: renamed, mac: '*:62' }, bridge: br0, alias: ua-on-b }
`,
    };

    beforeAll(async () => {
      hosts = await startTwoHosts(networks);
      ({ a, b } = hosts);
      a.configure(config.a);
      b.configure(config.b);
      await a.define(
        guestXml(guest, [
          interfaceXml('bridge', 0x61, "<source bridge='br0'/><target dev='a-first'/>"),
          onNetwork('lan', 0x62, { inside: "<alias name='ua-on-a'/>" }),
        ]),
      );
    });
    afterAll(() => stopHosts(hosts));

    /** What the guest sees, and where it is connected. */
    const shown = async (host: LibvirtHost) => {
      const { interfaces } = readDomain(parseXml(await host.virsh('dumpxml', guest)));
      return {
        guests: interfaces.map(({ mac, model, guestAddress }) => `${mac} ${model} ${guestAddress}`),
        hosts: interfaces.map(({ type, source, target, alias }) =>
          [type, source.network, source.portgroup, source.bridge ?? source.dev, target.dev, alias].join(' '),
        ),
      };
    };

    test('is the same guest there, connected by that host’s names, and again back here', async () => {
      await a.virsh('start', guest);
      const before = await shown(a);
      await a.migrate(guest, b, '--persistent');
      const there = await shown(b);
      expect(there.guests).toEqual(before.guests);
      expect(there.hosts).toEqual([
        macvtap ? 'direct   eth1 b-first net0' : 'bridge prod red br0 b-first net0',
        expect.stringMatching(/^bridge {3}br0 vnet\d+ ua-on-b$/),
      ]);
      const explained = await b.actualnet('', 'explain', guest);
      expect(explained).toMatch(
        /rewritten when it came: interface 52:54:00:ac:00:62: type network becomes bridge, bridge 'br0'/,
      );
      await b.migrate(guest, a);
      const back = await shown(a);
      expect(back.guests).toEqual(before.guests);
      expect(back.hosts[0]).toBe(before.hosts[0]);
      expect(back.hosts[1]).toMatch(/^network lan .* ua-on-a$/);
    });

    test('leaves a definition that no hook has seen: it is told, and transform mends it', async () => {
      await a.migrate(guest, b, '--persistent');
      expect(await b.actualnet('', 'explain', guest)).toMatch(
        /its definition is not rewritten: interface .*actualnet transform/,
      );
      const mended = await b.actualnet('', 'transform', `/etc/libvirt/qemu/${guest}.xml`);
      await b.define(mended);
      expect(await b.actualnet('', 'explain', guest)).not.toMatch(/not rewritten/);
      await b.migrate(guest, a);
    });

    const rule = (changes: string) => `rewrite: [{ match: { mac: '*:62' }, ${changes} }]\n`;
    const metadata = "<interfaces><interface mac='52:54:00:ac:00:62' bridge='br0' alias='ua-wished'/></interfaces>";

    test.each<readonly [what: string, config: string, expected: RegExp]>([
      ['another network and portgroup', rule('network: prod, portgroup: red'), /^bridge prod red br0 /],
      ['a bridge', rule('bridge: br0'), /^bridge {3}br0 /],
      ['a network again', rule('network: lan'), /^network lan {2}virbr7 /],
      ['another target and alias', rule('target: again0, alias: ua-again'), /^network lan {2}virbr7 again0 ua-again$/],
      ...(macvtap
        ? ([['a macvtap', rule('dev: eth1, mode: private, target: tap7'), /^direct {3}eth1 tap7 ua-again$/]] satisfies [
            string,
            string,
            RegExp,
          ][])
        : []),
      ['nothing', '', macvtap ? /^direct {3}eth1 tap7 ua-again$/ : /^network lan {2}virbr7 again0 ua-again$/],
      [
        'what its metadata asks for',
        'guests: { allow: [bridge, alias], bridges: [br0] }\n',
        /^bridge {3}br0 \S+ ua-wished$/,
      ],
    ])('is saved and restored with %s', async (what, config, expected) => {
      if (what.includes('metadata'))
        await a.virsh('metadata', guest, 'urn:actualnet:guest:1', '--key', 'actualnet', '--set', metadata, '--live');
      const before = await shown(a);
      await a.virsh('save', guest, image);
      a.configure(config);
      await a.virsh('restore', image);
      const after = await shown(a);
      expect(after.guests).toEqual(before.guests);
      expect(after.hosts[1]).toMatch(expected);
    });

    test('stays where it is when a rule cannot be followed, with the reason', async () => {
      b.configure("rewrite: [{ match: { mac: '*:61' }, network: nowhere }]\n");
      await expect(a.migrate(guest, b)).rejects.toThrow(
        /rule 1 of 'rewrite' cannot be followed: network 'nowhere' is not known here/,
      );
      expect(await a.virsh('domstate', guest)).toContain('running');
      await a.virsh('destroy', guest);
      for (const host of [a, b])
        expect(host.hookCalls().filter(({ stderrBytes }) => stderrBytes > 0)).toHaveLength(host === b ? 1 : 0);
    });
  },
);
