import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import schema from '../../schemas/log.schema.json' with { type: 'json' };
import type { HistoryEntry } from '../../src/report/history.ts';
import { projectDirectory, TestHost } from '../helpers/host.ts';
import { endProcessesOf } from '../helpers/processes.ts';
import { inNamespace, ip } from './world.ts';

const folder = path.join(projectDirectory, 'samples/cookbook/keep-bridge-table');
const sample = (name: string) => readFileSync(path.join(folder, name), 'utf8');
const uuid = /<uuid>(.*)<\/uuid>/.exec(inNamespace ? sample('guest.xml') : '<uuid></uuid>')?.[1] ?? '';

let host: TestHost;
beforeEach(() => {
  if (!inNamespace) return;
  host = new TestHost();
  // The kernel's own view of this namespace.
  for (const tree of ['sys', 'proc']) symlinkSync(`/${tree}`, path.join(host.root, tree));
  mkdirSync(path.join(host.root, 'etc/actualnet'), { recursive: true });
  copyFileSync(path.join(folder, 'config.yaml'), path.join(host.root, 'etc/actualnet/config.yaml'));
  ip('link', 'add', 'br0', 'type', 'bridge');
  ip('link', 'set', 'br0', 'up');
});
afterEach(() => {
  if (!inNamespace) return;
  endProcessesOf(host.root);
  host.remove();
  for (const dev of ['vnet0', 'br0']) {
    try {
      ip('link', 'del', dev);
    } catch {}
  }
});

const qemu = (operation: string, document = sample('running.xml')) =>
  host.hook('qemu', ['web1', operation, 'begin', '-'], document);
function start() {
  expect(qemu('prepare', sample('guest.xml')).status).toBe(0);
  ip('tuntap', 'add', 'dev', 'vnet0', 'mode', 'tap');
  ip('link', 'set', 'vnet0', 'master', 'br0', 'up');
  for (const operation of ['start', 'started']) expect(qemu(operation).status).toBe(0);
}
function log(...words: string[]): HistoryEntry[] {
  const answer = host.cli(['log', ...words, '--format', 'json']);
  const view = JSON.parse(answer.stdout);
  const isSound = new Ajv({ allowUnionTypes: true }).compile(schema);
  expect(isSound(view) || isSound.errors).toBe(true);
  return view.entries;
}

describe.skipIf(!inNamespace)('the history', () => {
  test('of a whole life, after the guest has gone, by name and by uuid', () => {
    start();
    expect(qemu('stopped').status).toBe(0);
    ip('link', 'del', 'vnet0');
    expect(qemu('release', sample('guest.xml')).status).toBe(0);
    expect(host.cli(['status']).stdout).toMatch(/^no guest is recorded/);
    const entries = log('web1');
    expect(entries.flatMap(entry => (entry.kind === 'call' ? entry.operation : []))).toEqual(
      expect.arrayContaining(['prepare', 'start', 'started', 'stopped', 'release']),
    );
    const changes = log('web1', '--changes');
    expect(changes.map(change => (change.kind === 'change' ? change.what : ''))).toEqual(
      expect.arrayContaining([expect.stringContaining('52:54:00:57:00:01'), expect.stringContaining('learning off')]),
    );
    for (const change of changes)
      expect(change).toMatchObject({ result: 'done', command: expect.stringMatching(/^(ip|bridge) /) });
    expect(log(uuid)).toEqual(entries);
    expect(log('other')).toEqual([]);
    expect(log('web1', '--until', 'yesterday')).toEqual([]);
    expect(host.cli(['log', 'web1', '--since', '1h']).stdout).toMatch(
      /hook prepare {2}qemu 'web1': answered in \d+ ms/,
    );
  });

  test('of a start that was refused: code and words', () => {
    ip('link', 'del', 'br0');
    const { status, stderr } = qemu('prepare', sample('guest.xml'));
    expect(status).toBe(1);
    const [call] = log('web1');
    expect(call).toMatchObject({
      kind: 'call',
      operation: 'prepare',
      status: 1,
      refused: 'DEVICE_MISSING',
      guest: uuid,
    });
    expect(JSON.stringify(call)).toContain('br0');
    expect(host.cli(['log', 'web1']).stdout).toContain('refused [DEVICE_MISSING]');
    expect(stderr).toContain('br0');
  });

  test('of a crash: what is taken back later, by whom', () => {
    start();
    // Nobody calls 'stopped': the guest's QEMU and libvirt are gone, and a tap was left.
    endProcessesOf(host.root);
    expect(host.cli(['recover', '--grace', '0'])).toMatchObject({ status: 0 });
    const undone = log('web1', '--changes').filter(({ by, operation }) => by === 'command' && operation === 'recover');
    expect(undone.map(change => (change.kind === 'change' ? change.result : ''))).toEqual(['done', 'done', 'done']);
    expect(host.cli(['status']).stdout).toMatch(/^no guest is recorded/);
  });

  test('holds no document and no secret of one', () => {
    const secret = 'hunter2-of-the-guest';
    const document = sample('guest.xml').replace('<devices>', `<devices><graphics type='vnc' passwd='${secret}'/>`);
    qemu('prepare', document);
    qemu('start', document.replace('<devices>', '<broken>'));
    const text = readFileSync(path.join(host.root, 'var/log/actualnet-history.jsonl'), 'utf8');
    expect(text).not.toContain(secret);
    expect(text).not.toContain('<domain');
  });

  test('that cannot be written costs no guest its start', () => {
    mkdirSync(path.join(host.root, 'var/log/actualnet-history.jsonl'));
    writeFileSync(path.join(host.root, 'var/log/actualnet-history.jsonl/x'), '');
    start();
    expect(log()).toEqual([]);
  });
});
