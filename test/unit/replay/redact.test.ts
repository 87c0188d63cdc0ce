import { describe, expect, test } from 'vitest';
import { redactDocument, withoutSecrets } from '../../../src/replay/redact.ts';
import { parseXml } from '../../../src/xml/document.ts';

const wrap = (inside: string) =>
  `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>g1</name>${inside}</domain>`;
const redact = (inside: string) => redactDocument(wrap(inside)).text.slice(wrap('').length - '</domain>'.length, -9);

describe('what is taken out', () => {
  test.each([
    [
      'the password of a display',
      "<graphics type='vnc' port='-1' passwd='S3cret!' connected='keep'/>",
      "<graphics type='vnc' port='-1' passwd='redacted' connected='keep'/>",
    ],
    [
      'who authenticates for a disk, and with what',
      "<auth username='S3cret!'><secret type='ceph' uuid='S3cret!' usage='S3cret!'/></auth>",
      "<auth username='redacted'><secret type='ceph' uuid='redacted' usage='redacted'/></auth>",
    ],
    [
      'cookies of a disk',
      "<cookies><cookie name='session'>S3cret!</cookie></cookies>",
      "<cookies><cookie name='session'>redacted</cookie></cookies>",
    ],
    [
      'the query of an address',
      "<source protocol='https' query='S3cret!'/>",
      "<source protocol='https' query='redacted'/>",
    ],
    [
      "the kernel's command line",
      '<os><cmdline>root=/dev/vda S3cret!</cmdline></os>',
      '<os><cmdline>redacted</cmdline></os>',
    ],
    [
      'system information, where credentials are handed to guests',
      "<sysinfo type='fwcfg'><entry name='opt/x'>S3cret!</entry><entry name='f' file='S3cret!'/></sysinfo>",
      "<sysinfo type='fwcfg'><entry name='opt/x'>redacted</entry><entry name='f' file='redacted'/></sysinfo>",
    ],
    [
      'what people write',
      '<title>S3cret!</title><description>S3cret!\n</description>',
      '<title>redacted</title><description>redacted</description>',
    ],
    [
      'the measured launch',
      "<launchSecurity type='sev'><dhCert>S3cret!</dhCert><session>S3cret!</session></launchSecurity>",
      "<launchSecurity type='sev'><dhCert>redacted</dhCert><session>redacted</session></launchSecurity>",
    ],
    ['CDATA', '<description><![CDATA[S3cret!]]></description>', '<description>redacted</description>'],
    [
      "others' metadata, and its number stays",
      "<metadata><nova:x xmlns:nova='n'>S3cret!</nova:x><y/></metadata>",
      '<metadata><redacted/><redacted/></metadata>',
    ],
    [
      'in our own metadata what is unknown',
      "<metadata>S3cret!<interfaces xmlns='urn:actualnet:guest:1'>S3cret!<interface mac='52:54:00:00:00:01' vlan='10' x='S3cret!'/></interfaces></metadata>",
      "<metadata> <interfaces xmlns='urn:actualnet:guest:1'> <interface mac='52:54:00:00:00:01' vlan='10' x='redacted'/></interfaces></metadata>",
    ],
    [
      'variables for QEMU',
      "<qemu:commandline><qemu:env name='TOKEN' value='S3cret!'/></qemu:commandline>",
      "<qemu:commandline><qemu:env name='TOKEN' value='redacted'/></qemu:commandline>",
    ],
    [
      'words for QEMU, without what a netdev is known by',
      "<qemu:commandline><qemu:arg value='-netdev'/><qemu:arg value='tap,id=n0,ifname=t0,script=no,smb=S3cret!'/><qemu:arg value='-object'/><qemu:arg value='secret,id=s0,data=S3cret!'/><qemu:arg value='S3cret!'/></qemu:commandline>",
      "<qemu:commandline><qemu:arg value='-netdev'/><qemu:arg value='tap,id=n0,ifname=t0,script=no,smb=redacted'/><qemu:arg value='-object'/><qemu:arg value='redacted,id=s0,redacted'/><qemu:arg value='redacted'/></qemu:commandline>",
    ],
    [
      'words for QEMU in JSON',
      `<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='{"driver":"vfio-pci","host":"0000:01:00.0","x":{"y":"S3cret!"}}'/></qemu:commandline>`,
      "<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='{&#34;driver&#34;:&#34;vfio-pci&#34;,&#34;host&#34;:&#34;0000:01:00.0&#34;,&#34;x&#34;:&#34;redacted&#34;}'/></qemu:commandline>",
    ],
    [
      'what is set of a device',
      "<qemu:commandline><qemu:arg value='-set'/><qemu:arg value='device.net0.x=S3cret!'/></qemu:commandline>",
      "<qemu:commandline><qemu:arg value='-set'/><qemu:arg value='device.net0.x=redacted'/></qemu:commandline>",
    ],
    [
      'words that look like options',
      "<qemu:commandline><qemu:arg value='--S3cret!'/><qemu:arg value='-S3cret=x'/></qemu:commandline>",
      "<qemu:commandline><qemu:arg value='redacted'/><qemu:arg value='redacted'/></qemu:commandline>",
    ],
    [
      'properties that are set behind libvirt',
      "<qemu:override><qemu:device alias='net0'><qemu:frontend><qemu:property name='x' type='string' value='S3cret!'/></qemu:frontend></qemu:device></qemu:override>",
      "<qemu:override><qemu:device alias='net0'><qemu:frontend><qemu:property name='x' type='redacted' value='redacted'/></qemu:frontend></qemu:device></qemu:override>",
    ],
    [
      'whatever is called a secret',
      "<x privateKey='S3cret!' token='S3cret!'><apiToken>S3cret!</apiToken></x>",
      "<x privateKey='redacted' token='redacted'><apiToken>redacted</apiToken></x>",
    ],
  ])('%s', (_, given, expected) => {
    const redacted = redact(given);
    expect(redacted).toBe(expected);
    expect(redacted).not.toContain('S3cret!');
    // Once more changes nothing, and it is still a document.
    expect(redact(redacted)).toBe(redacted);
  });
});

describe('what stays', () => {
  test.each([
    "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan' portgroup='x' portid='1'/><target dev='vnet0'/><alias name='net0'/></interface>",
    "<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x0000' bus='0x5e' slot='0x02' function='0x0'/></source></hostdev>",
    "<interface type='direct'><source dev='eth0' mode='vepa'/><virtualport type='802.1Qbh'><parameters profileid='finance'/></virtualport></interface>",
    "<metadata><interfaces xmlns='urn:actualnet:guest:1'><interface mac='52:54:00:00:00:01' vlan='10,20' trust='yes'/></interfaces></metadata>",
    "<filterref filter='clean-traffic'><parameter name='IP' value='192.0.2.1'/></filterref>",
    "<!-- a comment --><memory unit='KiB'>1048576</memory>",
  ])('%s', inside => {
    expect(redact(inside)).toBe(inside);
  });
});

test('what was taken out is found in other texts, short words excepted', () => {
  const { removed } = redactDocument(wrap("<graphics passwd='hunter22'/><auth username='me'/>"));
  expect(removed).toEqual(['hunter22']);
  expect(withoutSecrets("cannot use 'hunter22' for me", removed)).toBe("cannot use 'redacted' for me");
});

test('a document that is none is an error, and nothing of it is answered', () => {
  expect(() => redactDocument('<domain><graphics passwd="x"')).toThrow(/line 1/);
  expect(() => redactDocument(Uint8Array.of(0x3c, 0x61, 0xff))).toThrow(/UTF-8/);
});

test('it takes time in proportion to the document', () => {
  const many = `<metadata>${'<x:y xmlns:x="u">z</x:y>'.repeat(100_000)}</metadata>${"<graphics passwd='hunter22'/>".repeat(3000)}`;
  const fromMs = performance.now();
  const { text } = redactDocument(wrap(many));
  expect(performance.now() - fromMs).toBeLessThan(3000);
  expect(parseXml(text).root.childrenNamed('graphics')).toHaveLength(3000);
});
