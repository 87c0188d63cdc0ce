// What the agent needs for many guests: memory, and whether it keeps up. Usage: node scripts/bench-agent.mjs [GUESTS] [SECONDS].
// The guests are status files, and a program in virsh's place tells of their events, ten a second for each; the agent, its
// parser and its records are the real ones. Ends with the state that each guest had in its last event.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('..', import.meta.url));
const guests = Number(process.argv[2] ?? 1000);
const seconds = Number(process.argv[3] ?? 30);
const root = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'actualnet-agent-'));
const at = (...parts) => path.join(root, ...parts);
for (const directory of ['run/libvirt/qemu', 'run/actualnet/guests', 'var/log', 'etc/actualnet', 'bin'])
  mkdirSync(at(directory), { recursive: true, mode: 0o700 });
// Everything is planned, and nothing has to be set on this machine.
writeFileSync(at('etc/actualnet/config.yaml'), 'macvtap: { manage: true }\n');

const started = readFileSync(path.join(project, 'samples/web1/10-qemu-web1-started.xml'), 'utf8');
const domain = /<domain[\s\S]*<\/domain>/.exec(started)[0];
const nameOf = number => `guest-${number}`;
for (let number = 0; number < guests; number++) {
  const uuid = `0b0e1f52-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
  const xml = domain
    .replace(/<name>.*?<\/name>/, `<name>${nameOf(number)}</name>`)
    .replace(/<uuid>.*?<\/uuid>/, `<uuid>${uuid}</uuid>`);
  writeFileSync(
    at('run/libvirt/qemu', `${nameOf(number)}.xml`),
    `<domstatus state='running' reason='booted' pid='1'>\n${xml}\n</domstatus>\n`,
  );
  const line = { at: new Date().toISOString(), op: 'started', name: nameOf(number) };
  writeFileSync(at('run/actualnet/guests', `${uuid}.jsonl`), `${JSON.stringify(line)}\n`, { mode: 0o600 });
}
writeFileSync(
  at('bin/virsh'),
  `#!${process.execPath}
const words = ['Suspended Paused', 'Resumed Unpaused'];
let rounds = 0;
const timer = setInterval(() => {
  if (rounds === ${seconds * 10}) return clearInterval(timer);
  const word = words[rounds++ % 2];
  for (let number = 0; number < ${guests}; number++)
    process.stdout.write("2026-01-01 00:00:00.000+0000: event 'lifecycle' for domain 'guest-" + number + "': " + word + "\\n");
}, 100);
setTimeout(() => {}, 1e9);
`,
  { mode: 0o755 },
);

const env = { ...process.env, ACTUALNET_ROOT: root, PATH: `${at('bin')}:${process.env.PATH}` };
const agent = spawn(process.execPath, [path.join(project, 'dist/actualnet.cjs'), 'agent'], { env, stdio: 'inherit' });
const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))[1]) / 1024;
const witness = () => JSON.parse(readFileSync(at('run/actualnet/witness.json'), 'utf8')).guests;
const counts = () => {
  const all = witness();
  return { open: all.filter(({ done, wanted }) => done === 'open' && wanted === 'open').length, all: all.length };
};
try {
  console.log('| second | memory, MiB | guests known | open, as last told |');
  console.log('|---|---|---|---|');
  for (let second = 5; second <= seconds + 30; second += 5) {
    await sleep(5000);
    const { open, all } = existsSync(at('run/actualnet/witness.json')) ? counts() : { open: 0, all: 0 };
    console.log(`| ${second} | ${memory().toFixed(0)} | ${all} | ${open} |`);
    if (second > seconds && open === guests) break;
  }
} finally {
  agent.kill('SIGTERM');
  await new Promise(resolve => agent.once('exit', resolve));
  rmSync(root, { recursive: true, force: true });
}
