// Plays a sample guest's whole life through the built hooks, with real links in a private network namespace (no root is
// needed where the kernel allows that), and shows what actualnet knows and what is on the host. The links that libvirt
// would make are made here.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { endInOrder, removeRoot } from './remove-root.mjs';

const project = fileURLToPath(new URL('..', import.meta.url));
const hasLinks = process.env.ACTUALNET_NAMESPACE === '1';
const root = mkdtempSync(path.join(tmpdir(), 'actualnet-demo-'));
const env = { LC_ALL: 'C', PATH: process.env.PATH, ACTUALNET_ROOT: root };
const run = (file, words, input) => execFileSync(file, words, { env, cwd: '/', input, encoding: 'utf8' });
const actualnet = (...words) => run(process.execPath, [path.join(project, 'dist/actualnet.cjs'), ...words]);
const indent = text => text.trimEnd().replace(/^/gm, '    ');

endInOrder();
try {
  for (const directory of ['var/log', 'etc/actualnet']) mkdirSync(path.join(root, directory), { recursive: true });
  if (hasLinks) {
    // The links of this namespace, but not the machine's PCI devices: the guest's are made up.
    mkdirSync(path.join(root, 'sys'));
    symlinkSync('/sys/class', path.join(root, 'sys/class'));
    writeFileSync(path.join(root, 'etc/actualnet/config.yaml'), 'bridges:\n  br1: { keepForwardingTable: true }\n');
    for (const bridge of ['virbr7', 'br0', 'br1']) ip(`link add ${bridge} type bridge`, `link set ${bridge} up`);
  }
  showHost('before');
  for (const file of readdirSync(path.join(project, 'samples/web1')).sort()) play(file);
  showHost('after');
  showHistory();
  showRefusal();
  showRewriting();
  showAttach();
} finally {
  await removeRoot(root);
}

function play(file) {
  const [, driver, object, operation] = /^\d+-(qemu|network)-([a-z0-9]+)-(.*)\.xml$/.exec(file);
  if (hasLinks && driver === 'qemu') playLibvirt(operation);
  const words = [object, operation, ['stopped', 'release'].includes(operation) ? 'end' : 'begin', '-'];
  console.log(`\n$ ${driver} ${words.join(' ')}`);
  const answer = run(
    path.join(project, 'hooks', driver),
    words,
    readFileSync(path.join(project, 'samples/web1', file)),
  );
  if (answer !== '') console.log(answer);
  if (driver === 'qemu') console.log(indent(actualnet('status')));
  if (operation === 'prepare') showReasons();
  if (driver === 'qemu' && operation === 'started') showHost('while the guest runs');
}

/** The taps, and the table of br0, which libvirt keeps for the network 'prod'. */
function playLibvirt(operation) {
  const taps = { vnet3: 'virbr7', vnet4: 'br0', vnet5: 'br1' };
  for (const [tap, bridge] of Object.entries(taps)) {
    if (operation === 'start') ip(`tuntap add dev ${tap} mode tap`, `link set ${tap} master ${bridge} up`);
    if (operation === 'stopped') ip(`link delete ${tap}`);
  }
  if (operation !== 'started') return;
  ip('link set dev vnet4 type bridge_slave learning off flood off');
  run('bridge', 'fdb add 52:54:00:57:00:02 dev vnet4 master static'.split(' '));
}

function ip(...lines) {
  for (const line of lines) run('ip', line.split(' '));
}

function showHost(when) {
  if (!hasLinks) return;
  console.log(`\nthe host ${when}:`);
  console.log(
    indent(
      run('bridge', ['-o', '-d', 'link', 'show']).replace(
        / mtu .*?(master \S+).*?(learning \S+ flood \S+).*/g,
        ' $1, $2',
      ) || 'no bridge ports',
    ),
  );
  const entries = run('bridge', ['fdb', 'show'])
    .split('\n')
    .filter(line => line.startsWith('52:54'));
  console.log(indent(entries.join('\n') || 'no forwarding entries of guests'));
}

function cookbook(name) {
  return path.join(project, 'samples/cookbook', name);
}

/** The guest has gone, and what was done for it is still known. */
function showHistory() {
  console.log('\n$ actualnet log web1 --since 1h | tail -n 4');
  console.log(indent(actualnet('log', 'web1', '--since', '1h').trimEnd().split('\n').slice(-4).join('\n')));
}

/** A guest whose bridge is not there: refused before libvirt fails on it. */
function showRefusal() {
  if (hasLinks) ip('link delete br0');
  console.log('\na guest whose bridge is missing:\n\n$ qemu web2 prepare begin -');
  const document = readFileSync(path.join(cookbook('missing-bridge'), 'guest.xml'));
  const words = ['web2', 'prepare', 'begin', '-'];
  const { status, stderr } = spawnSync(path.join(project, 'hooks/qemu'), words, {
    env,
    cwd: '/',
    input: document,
    encoding: 'utf8',
  });
  console.log(
    indent(status === 0 ? 'let through: without links of its own this host is not looked at' : `refused: ${stderr}`),
  );
}

/** A guest that comes from another host, where its bridge has another name. */
function showRewriting() {
  const folder = cookbook('move-on-migration');
  writeFileSync(path.join(root, 'etc/actualnet/config.yaml'), readFileSync(path.join(folder, 'config.yaml')));
  if (hasLinks) ip('link add br7 type bridge');
  const document = readFileSync(path.join(folder, 'running.xml'), 'utf8');
  console.log('\na guest that comes from another host:\n\n$ qemu web1 migrate begin -');
  const answer = run(path.join(project, 'hooks/qemu'), ['web1', 'migrate', 'begin', '-'], document);
  const before = document.split('\n');
  for (const [place, line] of answer.split('\n').entries())
    if (line !== before[place]) console.log(indent(`- ${before[place]?.trim()}\n+ ${line.trim()}`));
}

/** A device for a guest that runs: what would be done, since there is no libvirt here to do it. */
function showAttach() {
  const folder = path.join(project, 'samples/gallery/attach');
  writeFileSync(path.join(root, 'etc/actualnet/config.yaml'), readFileSync(path.join(folder, 'config.yaml')));
  if (hasLinks) ip('link add br0 type bridge', 'link set br0 up');
  mkdirSync(path.join(root, 'run/libvirt/qemu'), { recursive: true });
  writeFileSync(path.join(root, 'run/libvirt/qemu/web1.xml'), readFileSync(path.join(folder, 'status.xml')));
  console.log('\na device for a running guest:\n\n$ actualnet attach web1 device.xml --dry-run');
  console.log(indent(actualnet('attach', 'web1', path.join(folder, 'device.xml'), '--dry-run')));
}

function showReasons() {
  for (const { alias, because } of JSON.parse(actualnet('status', '--format', 'json')).guests[0].predicted.interfaces) {
    console.log(`    ${alias}, because`);
    for (const reason of because) console.log(`      ${reason}`);
  }
}
