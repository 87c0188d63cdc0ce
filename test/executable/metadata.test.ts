import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { projectDirectory, TestHost } from '../helpers/host.ts';

const host = new TestHost();
afterAll(() => host.remove());
const inRoot = (...parts: string[]) => path.join(host.root, ...parts);
const uuidOf = (number: number) => `0b0e1f52-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
const many = (piece: string) => piece.repeat(Math.floor(3_800_000 / piece.length));
const ours = (content: string) => `<interfaces xmlns='urn:actualnet:guest:1'>${content}</interfaces>`;
const domain = (number: number, metadata = '') =>
  `<domain type='kvm' id='${number}'><name>g${number}</name><uuid>${uuidOf(number)}</uuid><metadata>${metadata}</metadata><devices><interface type='ethernet'><mac address='52:54:00:00:00:0${number}'/><target dev='tap${number}' managed='no'/></interface></devices></domain>`;

mkdirSync(inRoot('etc/actualnet'), { recursive: true });
writeFileSync(inRoot('etc/actualnet/config.yaml'), 'macvtap: { manage: true }\nguests: { allow: [mtu] }\n');

const attacks = [
  { name: 'host devices that do not end', text: many('<hostdev a="1"/>') },
  {
    name: 'attributes that are refused',
    text: ours(many(`<interface mac='52:54:00:00:00:01' a='' b='' c='' d=''/>\n`)),
  },
  { name: 'values that are wrong', text: ours(many(`<interface mac='52:54:00:00:00:01' mtu='x'/>\n`)) },
  { name: 'levels', text: '<a>'.repeat(500_000) + '</a>'.repeat(500_000) },
  { name: 'elements', text: many('<a/>') },
  { name: 'a long tag', text: `<a ${many("b='' ")}/>` },
];

/** Bytes below a directory. */
function sizeOf(directory: string): number {
  return readdirSync(directory, { withFileTypes: true }).reduce((sum, entry) => {
    const file = path.join(directory, entry.name);
    return sum + (entry.isDirectory() ? sizeOf(file) : statSync(file).size);
  }, 0);
}

describe('3.8 MB of metadata', () => {
  test.each(attacks)('of $name cost a call little, and leave little', ({ text }) => {
    const began = performance.now();
    for (const operation of ['prepare', 'start', 'started', 'reconnect']) {
      const { status, stderr } = host.hook('qemu', ['g1', operation, 'begin', '-'], domain(1, text));
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    }
    expect(performance.now() - began).toBeLessThan(40_000);
    expect(sizeOf(inRoot('run/actualnet'))).toBeLessThan(200_000);
    const [record] = host.status();
    expect(record?.actual?.interfaces).toHaveLength(1);
    expect(record?.findings.length).toBeLessThan(40);
  });

  test('in one guest after the other does not keep the agent from a guest beside them', {
    timeout: 180_000,
  }, async () => {
    const statusFile = (number: number) => inRoot('run/libvirt/qemu', `g${number}.xml`);
    mkdirSync(inRoot('run/libvirt/qemu'), { recursive: true });
    const put = (number: number, metadata: string) =>
      writeFileSync(
        statusFile(number),
        `<domstatus state='running' reason='booted' pid='${process.pid}'>${domain(number, metadata)}</domstatus>`,
      );
    for (const [index, { text }] of attacks.entries()) put(index + 1, text);
    const agent = spawn(process.execPath, [path.join(projectDirectory, 'dist/actualnet.cjs'), 'agent'], {
      env: host.env,
      stdio: 'ignore',
    });
    const known = () => {
      const file = inRoot('run/actualnet/witness.json');
      const text = existsSync(file) ? readFileSync(file, 'utf8') : '{"guests":[]}';
      return (JSON.parse(text) as { guests: { guest: string; done?: string }[] }).guests;
    };
    const until = async (isSo: () => boolean) => {
      const began = performance.now();
      while (!isSo() && performance.now() - began < 60_000) await sleep(20);
      expect(isSo()).toBe(true);
      return performance.now() - began;
    };
    const isOpen = (number: number) => known().some(({ guest, done }) => guest === `g${number}` && done === 'open');
    try {
      await until(() => attacks.every((_, index) => isOpen(index + 1)));
      const memoryMb = () =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))![1]) / 1024;
      const waits: number[] = [];
      for (let round = 0; round < 3; round++) {
        for (const [index, { text }] of attacks.entries()) put(index + 1, text + ' '.repeat(round));
        put(7, '');
        writeFileSync(
          statusFile(7),
          readFileSync(statusFile(7), 'utf8').replace(
            "state='running'",
            round % 2 === 0 ? "state='running'" : "state='paused'",
          ),
        );
        const wanted = round % 2 === 0 ? 'open' : 'close';
        waits.push(await until(() => known().some(({ guest, done }) => guest === 'g7' && done === wanted)));
      }
      // A look comes once a second; a busy machine may be many times slower than this one.
      expect(Math.max(...waits)).toBeLessThan(30_000);
      expect(memoryMb()).toBeLessThan(400);
    } finally {
      agent.kill('SIGTERM');
      await new Promise(resolve => agent.once('exit', resolve));
    }
  });
});
