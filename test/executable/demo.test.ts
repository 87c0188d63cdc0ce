import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa, execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { projectDirectory } from '../helpers/host.ts';

let temporary: string;
beforeEach(() => {
  temporary = mkdtempSync(path.join(tmpdir(), 'actualnet-of-a-demo-'));
});
afterEach(() => rmSync(temporary, { recursive: true, force: true }));

const script = (name: string) => path.join(projectDirectory, 'scripts', name);
/** The demo as `npm run demo` starts it, built already, with temporary files where only it has any. */
const demo = () =>
  execa(process.execPath, [script('in-namespace.mjs'), process.execPath, script('demo.mjs')], {
    env: { TMPDIR: temporary },
    reject: false,
    detached: true,
  });
/** Processes of the demo's private host. */
const processes = () =>
  execaSync('sh', ['-c', 'grep -la "ACTUALNET_ROOT=$0" /proc/[0-9]*/environ 2>/dev/null', temporary], { reject: false })
    .stdout;

describe('the demo leaves nothing behind', () => {
  test('when it has ended', async () => {
    const { exitCode, stdout } = await demo();
    expect({ exitCode, last: /the host after:|release/.test(stdout) }).toEqual({ exitCode: 0, last: true });
    expect(stdout).toMatch(/hook release {2}qemu 'web1': answered/);
    expect(stdout).toMatch(/web2 prepare begin -\n {4}(refused: .*br0|let through)/);
    expect(stdout).toMatch(/migrate begin -\n {4}- <source bridge='br0'\/>\n {4}\+ <source bridge='br7'\/>/);
    expect(stdout).toMatch(
      /attach web1 device.xml --dry-run\n {4}interface 52:54:00:57:00:02 will be 'net1': bridge br0\n/,
    );
    expect([readdirSync(temporary), processes()]).toEqual([[], '']);
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'when it is ended by %s, as a terminal sends it to all',
    async signal => {
      const running = demo();
      const plays = () => readdirSync(temporary).some(root => readdirSync(path.join(temporary, root)).includes('run'));
      await expect.poll(plays, { timeout: 60_000 }).toBe(true);
      process.kill(-running.pid!, signal);
      await running;
      expect([readdirSync(temporary), processes()]).toEqual([[], '']);
    },
  );
});
