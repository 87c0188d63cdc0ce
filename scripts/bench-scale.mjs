// What a call costs on a host with many guests, networks and ports. Usage: node scripts/bench-scale.mjs [RUNS]. Prints a
// Markdown table for docs/performance.md. Each host is a private directory with that many of each: libvirt's status files,
// networks and ports as libvirt writes them, and what the hooks would have written of them. All hosts take turns.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('..', import.meta.url));
const runs = Number(process.argv[2] ?? 20);
const sizes = [10, 100, 1000];
const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const sample = name => readFileSync(path.join(project, 'samples/web1', name), 'utf8');
const uuidOf = (kind, number) => `0b0e1f52-0000-4000-8${kind}00-${number.toString(16).padStart(12, '0')}`;

const domainOf = text => /<domain[\s\S]*<\/domain>/.exec(text)[0];
const started = domainOf(sample('10-qemu-web1-started.xml'));
const networkXml = /<network[\s\S]*<\/network>/.exec(sample('04-network-vf-started.xml'))[0];
const portXml = /<networkport[\s\S]*<\/networkport>/.exec(sample('08-network-vf-port-created.xml'))[0];
// What libvirt keeps beside a guest's document is larger than the document.
const flags = Array.from({ length: 250 }, (_, number) => `    <flag name='some-capability-${number}'/>\n`).join('');

function makeHost(count) {
  const root = mkdtempSync(path.join(base, 'actualnet-scale-'));
  const write = (file, text) => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true, mode: 0o700 });
    writeFileSync(path.join(root, file), text, { mode: 0o600 });
  };
  mkdirSync(path.join(root, 'var/log'), { recursive: true });
  // Everything is planned, and nothing has to be set on this machine.
  write('etc/actualnet/config.yaml', 'hostdevs: { restore: true }\n');
  const at = new Date().toISOString();
  const up = dev => ({ subject: { kind: 'up', dev }, before: false, to: true });
  for (let number = 0; number < count; number++) {
    const [guest, port] = [uuidOf(1, number), uuidOf(2, number)];
    const domain = started
      .replace(/<name>.*?<\/name>/, `<name>guest-${number}</name>`)
      .replace(/<uuid>.*?<\/uuid>/, `<uuid>${guest}</uuid>`);
    write(
      `run/libvirt/qemu/guest-${number}.xml`,
      `<domstatus state='running' reason='booted' pid='1'>\n  <qemuCaps>\n${flags}  </qemuCaps>\n${domain}\n</domstatus>\n`,
    );
    write(`run/actualnet/guests/${guest}.jsonl`, `${JSON.stringify({ at, op: 'started', name: `guest-${number}` })}\n`);
    write(`run/actualnet/ledgers/${guest}.jsonl`, `${JSON.stringify({ at, intend: up(`tap${number}`) })}\n`);
    write(
      `run/actualnet/shared/dev${number}.jsonl`,
      `${JSON.stringify({ at, intend: { ...up(`dev${number}`), user: guest } })}\n`,
    );
    const network = networkXml.replace(/<name>.*?<\/name>/, `<name>net-${number}</name>`);
    write(`run/libvirt/network/net-${number}.xml`, `<networkstatus>\n${network}\n</networkstatus>\n`);
    write(`run/actualnet/networks/net-${number}/network.json`, JSON.stringify({ name: `net-${number}`, xml: network }));
    const own = portXml
      .replace(/<uuid>.*?<\/uuid>/, `<uuid>${port}</uuid>`)
      .replace(/function='0x.'/, "function='0x7'");
    // Half of the ports are libvirt's of one network each, half are in the pool that the guest uses.
    write(`run/libvirt/network/net-${number}/ports/${port}.xml`, own);
    const address = `0000%3aff%3a${(number % 32).toString(16).padStart(2, '0')}%2e7`;
    write(`run/actualnet/networks/vf/${port}~hostdev-pci~${address}.port`, '');
  }
  return root;
}

const hosts = sizes.map(count => ({ count, root: makeHost(count) }));
const call = (root, driver, object, operation, input) => {
  const env = { LC_ALL: 'C', PATH: process.env.PATH, ACTUALNET_ROOT: root };
  const began = process.hrtime.bigint();
  const { status, stderr } = spawnSync(
    process.execPath,
    [path.join(project, 'dist/hook.cjs'), driver, object, operation, 'begin', '-'],
    { env, cwd: '/', input },
  );
  if (status !== 0) throw new Error(`${driver} ${operation}: ${stderr}`);
  return Number(process.hrtime.bigint() - began) / 1e6;
};
const calls = {
  'network start': root => call(root, 'network', 'vf', 'start', sample('04-network-vf-started.xml')),
};
const life = [
  ['network started', 'network', 'vf', 'started', '04-network-vf-started.xml'],
  ['prepare', 'qemu', 'web1', 'prepare', '05-qemu-web1-prepare.xml'],
  ['port-created', 'network', 'vf', 'port-created', '08-network-vf-port-created.xml'],
  ['start', 'qemu', 'web1', 'start', '09-qemu-web1-start.xml'],
  ['started', 'qemu', 'web1', 'started', '10-qemu-web1-started.xml'],
  ['stopped', 'qemu', 'web1', 'stopped', '11-qemu-web1-stopped.xml'],
  ['port-deleted', 'network', 'vf', 'port-deleted', '14-network-vf-port-deleted.xml'],
  ['release', 'qemu', 'web1', 'release', '15-qemu-web1-release.xml'],
];
for (const [name, driver, object, operation, file] of life)
  calls[name] = root => call(root, driver, object, operation, sample(file));

try {
  for (const { root } of hosts)
    for (const [name, file] of [
      ['lan', '02-network-lan-started.xml'],
      ['prod', '03-network-prod-started.xml'],
    ])
      call(root, 'network', name, 'started', sample(file));
  const times = new Map();
  for (let run = -1; run < runs; run++)
    for (const [name, measure] of Object.entries(calls).slice(1))
      for (const { count, root } of hosts) {
        const ms = measure(root);
        if (run >= 0) times.set(`${name} ${count}`, [...(times.get(`${name} ${count}`) ?? []), ms]);
      }
  // A network that starts forgets its ports: it comes last, on a network of its own.
  for (let run = 0; run < runs; run++)
    for (const { count, root } of hosts) {
      const xml = sample('04-network-vf-started.xml').replaceAll('<name>vf</name>', '<name>fresh</name>');
      const ms = call(root, 'network', 'fresh', 'start', xml);
      times.set(`network start ${count}`, [...(times.get(`network start ${count}`) ?? []), ms]);
    }
  const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.floor(values.length * q)];
  console.log(
    `${runs} runs each, taking turns; Node ${process.version}, ${cpus().length} cores; ms, the quarter of the runs that was not disturbed\n`,
  );
  console.log(`| call | ${sizes.map(size => `${size} of each`).join(' | ')} | last to first |`);
  console.log(`|---|${sizes.map(() => '---|').join('')}---|`);
  for (const name of Object.keys(calls)) {
    const row = sizes.map(size => quantile(times.get(`${name} ${size}`), 0.25));
    console.log(`| ${name} | ${row.map(ms => ms.toFixed(1)).join(' | ')} | ${(row.at(-1) / row[0]).toFixed(2)} |`);
  }
} finally {
  for (const { root } of hosts) rmSync(root, { recursive: true, force: true });
}
