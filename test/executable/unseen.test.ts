import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { guestUuid } from '../helpers/documents.ts';
import { TestHost } from '../helpers/host.ts';

let host: TestHost;
beforeEach(() => {
  host = new TestHost();
});
afterEach(() => host.remove());

/** What XML may hold and a terminal must not get: direction, C1, no width. */
const evil = 'a\u202eb\u009b2Jc\u200bd\u2066e\u007ff';
const raw = /[\p{Cc}\p{Cf}]/u;

const guest = `<domain type='qemu' id='1'><name>${evil}</name><uuid>${guestUuid}</uuid><title>${evil}</title>
  <description>${evil}</description><devices>
  <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='${evil}'/><alias name='ua-${evil}'/></interface>
  <interface type='network'><mac address='52:54:00:00:00:02'/><source network='${evil}' portgroup='${evil}'/></interface>
  <interface type='direct'><mac address='52:54:00:00:00:03'/><source dev='${evil}'/><target dev='${evil}'/></interface>
  </devices></domain>`;
const network = `<network><name>${evil}</name><forward mode='bridge'/><bridge name='${evil}'/><portgroup name='${evil}'/></network>`;

function clean(text: string): string {
  expect(text.split('\n').filter(line => raw.test(line))).toEqual([]);
  return text;
}

describe('a guest whose every name is hostile', () => {
  test.each(['table', 'json'])('resolve, plan, status and explain as %s', format => {
    const directory = path.join(host.root, 'networks');
    mkdirSync(directory);
    writeFileSync(path.join(directory, 'n.xml'), network);
    writeFileSync(path.join(directory, `${evil}.xml`), '<network');
    const resolved = host.cli(['resolve', '-', '--networks-dir', directory, '--format', format], guest);
    expect(resolved.status).toBe(0);
    expect(clean(resolved.stdout)).toContain('\\u202e');
    clean(host.cli(['plan', 'qemu', evil, 'prepare', '--format', format], guest).stdout);
    host.hook('qemu', [evil, 'prepare', 'begin', '-'], guest);
    const { stdout } = host.cli(['status', '--format', format]);
    expect(clean(stdout)).toContain('\\u009b');
    if (format === 'json') expect(JSON.parse(stdout).guests[0].name).toBe(evil);
    expect(clean(host.cli(['explain', evil]).stdout)).toContain('\\u200b');
  });

  test('errors and the log', () => {
    const { stderr } = host.cli(['resolve', '-'], guest.replace("type='network'", "type='network' type='x'"));
    clean(stderr);
    clean(host.cli(['status', evil]).stderr);
    clean(host.cli(['resolve', evil]).stderr);
    clean(host.hook('qemu', [evil, 'prepare', 'begin', '-'], guest.replace(guestUuid, 'none')).stderr);
    const log = clean(readFileSync(path.join(host.root, 'var/log/actualnet.log'), 'utf8'));
    expect(log).toContain('\\u202e');
  });

  test('a configuration', () => {
    const directory = path.join(host.root, 'etc/actualnet');
    mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, 'config.yaml'), `bridges:\n  "${evil.replace('\u007f', '')}": {}\n`);
    writeFileSync(path.join(directory, `${evil}.yml`), '');
    for (const words of [['check'], ['check', '--format', 'json']]) {
      const { status, stdout } = host.cli(words);
      expect(status).toBe(3);
      expect(clean(stdout)).toContain('\\u202e');
    }
    const { stderr } = host.cli(['plan', 'qemu', 'g', 'prepare'], guest);
    expect(clean(stderr)).toContain('\\u202e');
  });
});

test('a request that does not count is told once', () => {
  mkdirSync(path.join(host.root, 'etc/actualnet'), { recursive: true });
  writeFileSync(
    path.join(host.root, 'etc/actualnet/config.yaml'),
    'interfaces: [{ match: {}, final: true, mtu: 1400 }]\nguests: { allow: [spoofchk, mtu] }\n',
  );
  const mac = '52:54:00:00:00:01';
  const document = `<domain type='qemu' id='1'><name>g1</name><uuid>${guestUuid}</uuid>
    <metadata><interfaces xmlns='urn:actualnet:guest:1'><interface mac='${mac}' spoofchk='no' mtu='9000'/></interfaces></metadata>
    <devices><interface type='user'><mac address='${mac}'/></interface></devices></domain>`;
  for (const operation of ['prepare', 'start', 'started'])
    expect(host.hook('qemu', ['g1', operation, 'begin', '-'], document).status).toBe(0);
  expect(host.status()[0]?.findings.filter(line => line.includes('configured'))).toEqual([
    `interface ${mac}: 'spoofchk' stays as it is configured: the configuration lets guests make it stricter only`,
    `interface ${mac}: 'mtu' stays as it is configured: a final rule of the configuration sets it`,
  ]);
});
