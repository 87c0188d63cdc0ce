// What it costs to set up and take down a guest's taps: the hooks beside a shell hook that runs one command for each
// setting. Run in a private namespace by `npm run bench`. Prints a Markdown table for docs/performance.md.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeRoot } from './remove-root.mjs';

if (process.env.ACTUALNET_NAMESPACE !== '1') process.exit(0);
const project = fileURLToPath(new URL('..', import.meta.url));
const root = mkdtempSync(path.join(tmpdir(), 'actualnet-bench-'));
const runs = Number(process.argv[2] ?? 7);
for (const directory of ['var/log', 'etc/actualnet']) mkdirSync(path.join(root, directory), { recursive: true });
symlinkSync('/sys', path.join(root, 'sys'));
const config =
  'taps: { create: true }\ninterfaces: [{ match: { tap: "t*" }, bridge: br0, keepForwardingTable: true }]\n';
writeFileSync(path.join(root, 'etc/actualnet/config.yaml'), config);
const env = { LC_ALL: 'C', PATH: process.env.PATH, ACTUALNET_ROOT: root };
spawnSync('sh', ['-c', 'ip link add br0 type bridge && ip link set br0 up']);

const mac = number => `54:00:01:00:${number.toString(16).padStart(2, '0')}`;
const shellSetUp = count =>
  range(count)
    .map(
      n => `ip tuntap add dev t${n} mode tap
ip link set dev t${n} address fe:${mac(n)}
ip link set dev t${n} mtu 1500
ip link set dev t${n} master br0
ip link set dev t${n} type bridge_slave learning off
ip link set dev t${n} type bridge_slave flood off
ip link set dev t${n} up`,
    )
    .join('\n');
const shellTakeDown = count =>
  range(count)
    .map(n => `ip link delete dev t${n}`)
    .join('\n');
const guest = count =>
  `<domain id='1'><name>g</name><uuid>0b0e1f52-0000-4000-8000-0000000000aa</uuid><devices>${range(count)
    .map(n => `<interface type='ethernet'><mac address='52:${mac(n)}'/><target dev='t${n}' managed='no'/></interface>`)
    .join('')}</devices></domain>`;

console.log(`${runs} runs each, taking turns; median ms, in brackets of the shell hook\n`);
console.log('| taps | shell: set up | prepare | shell: take down | release |\n|---|---|---|---|---|');
for (const count of [1, 4, 16, 64]) {
  const times = { shellUp: [], prepare: [], shellDown: [], release: [] };
  for (let run = -1; run < runs; run++) {
    const up = measure('sh', ['-c', shellSetUp(count)], '');
    const down = measure('sh', ['-c', shellTakeDown(count)], '');
    const prepare = measure(path.join(project, 'hooks/qemu'), ['g', 'prepare', 'begin', '-'], guest(count));
    const release = measure(path.join(project, 'hooks/qemu'), ['g', 'release', 'end', '-'], guest(count));
    if (run < 0) continue;
    times.shellUp.push(up);
    times.shellDown.push(down);
    times.prepare.push(prepare);
    times.release.push(release);
  }
  const [shellUp, prepare, shellDown, release] = ['shellUp', 'prepare', 'shellDown', 'release'].map(key =>
    median(times[key]),
  );
  const beside = (ours, theirs) => `${ours.toFixed(0)} (${(ours / theirs).toFixed(2)})`;
  console.log(
    `| ${count} | ${shellUp.toFixed(0)} | ${beside(prepare, shellUp)} | ${shellDown.toFixed(0)} | ${beside(release, shellDown)} |`,
  );
}
await removeRoot(root);

function measure(file, words, input) {
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync(file, words, { env, cwd: '/', input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} ${words[1]}: ${stderr}`);
  return Number(process.hrtime.bigint() - start) / 1e6;
}

function range(count) {
  return Array.from({ length: count }, (_, index) => index);
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
