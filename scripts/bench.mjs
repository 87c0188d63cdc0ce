// What a hook call costs, side by side with programs that do less. Prints a Markdown table for docs/performance.md.
// Usage: node scripts/bench.mjs [RUNS]. All candidates take turns, so that a noisy moment hits each of them alike. The
// hooks are installed as on a host, and what they remember lies in memory as `/run` does there.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('..', import.meta.url));
const runs = Number(process.argv[2] ?? 60);
const inMemory = '/dev/shm';
const root = mkdtempSync(path.join(existsSync(inMemory) ? inMemory : tmpdir(), 'actualnet-bench-'));
mkdirSync(path.join(root, 'var/log'), { recursive: true });
const env = { LC_ALL: 'C', PATH: process.env.PATH, ACTUALNET_ROOT: root };
const sample = name => readFileSync(path.join(project, 'samples', name));
const call = (file, args, input) => spawnSync(file, args, { env, cwd: '/', input });

const pythonHook = `
import sys, xml.etree.ElementTree as tree
document = tree.fromstring(sys.stdin.read())
for interface in document.iter('interface'): interface.get('type')
`;
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
const prepare = sample('web1/05-qemu-web1-prepare.xml');
spawnSync(path.join(project, 'install.sh'), ['--hooks-dir', path.join(root, 'hooks'), '--main'], { stdio: 'ignore' });
const hook = path.join(root, 'hooks/qemu');
const candidates = {
  'shell hook that reads stdin': () => call('/bin/sh', ['-c', 'cat >/dev/null'], prepare),
  'launcher, nothing to do': () => call(hook, ['web1', 'attach', 'begin', '-'], prepare),
  'Python hook that parses': () => call(python, ['-IS', '-c', pythonHook], prepare),
  'node -e 0': () => call('node', ['-e', '0'], prepare),
  'full prepare': () => call(hook, ['web1', 'prepare', 'begin', '-'], prepare),
};

for (const name of ['lan', 'prod', 'vf']) {
  const file = { lan: '02-network-lan-started', prod: '03-network-prod-started', vf: '04-network-vf-started' }[name];
  call(path.join(project, 'hooks/network'), [name, 'started', 'begin', '-'], sample(`web1/${file}.xml`));
}

const times = Object.fromEntries(Object.keys(candidates).map(name => [name, []]));
for (let run = -3; run < runs; run++) {
  for (const [name, measure] of Object.entries(candidates)) {
    const start = process.hrtime.bigint();
    const result = measure();
    const elapsedMs = Number(process.hrtime.bigint() - start) / 1e6;
    if (result.status !== 0) throw new Error(`${name}: status ${result.status}: ${result.stderr}`);
    if (run >= 0) times[name].push(elapsedMs);
  }
}
rmSync(root, { recursive: true, force: true });

const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))];
const reference = quantile(times['node -e 0'], 0.5);
console.log(`${runs} runs each, taking turns; Node ${process.version}, ${cpus().length} cores\n`);
console.log('| call | median ms | 10 % | 90 % | of `node -e 0` |\n|---|---|---|---|---|');
for (const [name, values] of Object.entries(times)) {
  const [low, median, high] = [0.1, 0.5, 0.9].map(q => quantile(values, q));
  console.log(
    `| ${name} | ${median.toFixed(1)} | ${low.toFixed(1)} | ${high.toFixed(1)} | ${(median / reference).toFixed(2)} |`,
  );
}
