import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDomain } from '../../src/model/domain.ts';
import { type NetworkLookup, resolveGuest } from '../../src/resolve/guest.ts';
import { oldestLibvirtVersion } from '../../src/resolve/version.ts';
import { checkHostdevs } from '../../src/transform/hostdevs.ts';
import { editsToStarted } from '../../src/transform/started.ts';
import { viewGuest } from '../../src/transform/view-guest.ts';
import { parseXml } from '../../src/xml/document.ts';
import { applyEdits } from '../../src/xml/edit.ts';
import { escapeAttribute } from '../../src/xml/escape.ts';
import { hasShared, sharedDirectory } from '../helpers/calls.ts';
import { running } from '../helpers/documents.ts';
import { TestHost } from '../helpers/host.ts';
import { domainSchema, isValid } from '../helpers/relax-ng.ts';

const corpus = path.join(sharedDirectory, 'corpus');
const documents = hasShared
  ? readdirSync(sharedDirectory, { recursive: true, encoding: 'utf8' })
      .filter(file => /^(corpus|captures)\/.*\.xml$/.test(file))
      .map(file => ({ file, bytes: readFileSync(path.join(sharedDirectory, file)) }))
      .filter(({ bytes }) => bytes.length > 0)
  : [];
const domains = documents.filter(
  ({ file }) => file.startsWith('corpus/domains') || file.startsWith('corpus/roundtrip'),
);

function view(bytes: Uint8Array, findNetwork: NetworkLookup = () => undefined) {
  const domain = readDomain(parseXml(bytes));
  const resolutions = resolveGuest(domain, { findNetwork, version: () => oldestLibvirtVersion });
  return { domain, guest: viewGuest(domain, resolutions) };
}

describe.skipIf(!hasShared)('documents of libvirt and of real hosts', () => {
  test('there are some', () => expect(documents.length).toBeGreaterThan(800));

  test.each(documents)('$file comes out byte for byte', ({ bytes }) => {
    const document = parseXml(bytes);
    expect(Buffer.from(document.text).equals(bytes)).toBe(true);
    const root = applyEdits(document, [{ at: document.root.span, text: document.root.outerXml, why: 'the same' }]);
    expect(Buffer.from(root.text).equals(bytes)).toBe(true);
  });

  test('the command line transforms each kind of document into itself', () => {
    const kinds = new Map(documents.map(document => [parseXml(document.bytes).root.name, document]));
    const host = new TestHost();
    for (const { file, bytes } of kinds.values()) {
      expect(host.cli(['transform', path.join(sharedDirectory, file)])).toEqual({
        status: 0,
        stdout: bytes.toString(),
        stderr: '',
      });
    }
    host.remove();
  });
});

describe.skipIf(!hasShared)('aliases', () => {
  const expected: Record<string, { ids: string[] }> = hasShared
    ? JSON.parse(readFileSync(path.join(corpus, 'expected-aliases.json'), 'utf8'))
    : {};

  test.each(Object.entries(expected).map(([name, { ids }]) => ({ name, ids })))(
    '$name has the ids that libvirt gave to QEMU',
    ({ name, ids }) => {
      const { guest } = view(readFileSync(path.join(corpus, 'domains', `${name}.xml`)));
      const ours = new Set([...guest.interfaces, ...guest.hostdevs].map(({ alias }) => alias));
      // User aliases of other devices are not ours to name.
      const theirs = ids.filter(id => !id.startsWith('ua-') || ours.has(id));
      expect([...ours].sort()).toEqual(theirs.sort());
      expect(checkHostdevs(guest)).toEqual([]);
    },
  );
});

/** What the networks of a guest may be. */
const forwards = [
  "<forward mode='bridge'/><bridge name='br0'/><port isolated='yes'/>",
  `<forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'/><vlan trunk='yes'><tag id='1'/><tag id='2'/></vlan>
   <portgroup name='p' default='yes'><bandwidth><inbound average='5'/><outbound average='6'/></bandwidth></portgroup>`,
  "<forward mode='private' dev='e1'/><virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport>",
  `<forward mode='hostdev' managed='yes'><driver name='vfio'/>${[...'01234567'].map(slot => `<address type='pci' bus='0x7f' slot='${slot}'/>`).join('')}</forward>
   <vlan><tag id='42'/></vlan>`,
];

describe.skipIf(!hasShared || domainSchema === undefined)("the started form and libvirt's schema", () => {
  test.each(domains)('$file stays valid where it was', ({ bytes }) => {
    if (!isValid(domainSchema!, bytes)) return;
    for (const forward of forwards) {
      const { domain, guest } = view(bytes, name =>
        running(`<network><name>${escapeAttribute(name)}</name>${forward}</network>`),
      );
      const started = applyEdits(parseXml(bytes), editsToStarted(domain, guest));
      expect(isValid(domainSchema!, started.text)).toBe(true);
    }
  });
});
