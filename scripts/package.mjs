// Usage: node package.mjs [--out DIR] [--version V] [--forms deb,rpm,tar] [--node with|without] [--quick]. Makes Debian packages and RPMs
// (dpkg-deb and rpmbuild do the work), and archives that need neither; each with and without a Node.js of its own. No network;
// the same sources give the same bytes.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { manifest, packageFiles, project, runtime, stage, thirdPartyLicences } from './package-files.mjs';

process.chdir(project);
process.umask(0o022);
const string = { type: 'string' };
const { values } = parseArgs({
  options: { out: string, version: string, forms: string, node: string, quick: { type: 'boolean' } },
});
const out = path.resolve(values.out ?? 'build');
const version = values.version ?? manifest.version;
const forms = (values.forms ?? 'deb,rpm,tar').split(',');
const seconds = process.env.SOURCE_DATE_EPOCH ?? lastCommitSeconds();
const env = { ...process.env, SOURCE_DATE_EPOCH: String(seconds), LC_ALL: 'C', TZ: 'UTC' };
const debArch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
const rpmArch = { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
const author = 'actualnet authors <actualnet@localhost>';
const summary = "host side of a libvirt guest's network interfaces";
const description = [
  'Installed as libvirt hooks, actualnet tells what each interface of a guest',
  'really is on this host, refuses a start in plain words before libvirt fails',
  'on it, and does what libvirt leaves undone where its configuration asks for',
  'it: forwarding tables, isolation, VLANs, taps, settings of VFs.',
];
const work = mkdtempSync(path.join(tmpdir(), 'actualnet-package-'));
let failed = false;
try {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const withNode of values.node === undefined ? [false, true] : [values.node === 'with']) {
    if (withNode && !existsSync(runtime)) {
      complain(`there is no Node.js runtime for ${process.arch} in node_modules: run 'npm ci' without --omit=optional`);
      continue;
    }
    const name = withNode ? 'actualnet-with-node' : 'actualnet';
    if (forms.includes('tar')) archive(withNode);
    if (forms.includes('deb')) attempt('dpkg-deb', 'dpkg', () => debianPackage(name, withNode));
    if (forms.includes('rpm')) attempt('rpmbuild', 'rpm', () => rpmPackage(name, withNode));
  }
  for (const file of readdirSync(out)) console.log(path.relative('.', path.join(out, file)));
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

function complain(line) {
  failed = true;
  console.error(`package: ${line}`);
}

function attempt(program, from, make) {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
  } catch {
    complain(`'${program}' is missing, its packages are not made (on Debian: apt-get install ${from})`);
    return;
  }
  make();
}

/** The tree that `install.sh` installs from: what npm would pack, built, with licences, and the runtime if it is wanted. */
function archive(withNode) {
  const folder = `actualnet-${version}-linux-${process.arch}${withNode ? '-with-node' : ''}`;
  const root = path.join(work, folder);
  mkdirSync(root);
  for (const part of [...manifest.files, 'LICENSE', 'README.md', 'package.json'])
    execFileSync('cp', ['-r', part, path.join(root, part)]);
  writeFileSync(path.join(root, 'LICENSES.third-party'), thirdPartyLicences());
  if (withNode) {
    mkdirSync(path.join(root, 'node/bin'), { recursive: true });
    for (const file of ['bin/node', 'LICENSE'])
      execFileSync('cp', [path.join(runtime, file), path.join(root, 'node', file)]);
  }
  tar(work, folder, path.join(out, `${folder}.tar.gz`));
}

/** An archive whose bytes depend on names and contents alone. */
function tar(directory, name, target) {
  const words = ['--sort=name', `--mtime=@${seconds}`, '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  const bytes = execFileSync('tar', ['-C', directory, ...words, '-cf', '-', name], { maxBuffer: 2 ** 30, env });
  writeFileSync(target, gzipSync(bytes, { level: values.quick ? 1 : 9 }));
}

function debianPackage(name, withNode) {
  const root = path.join(work, `${name}-deb`);
  const other = withNode ? 'actualnet' : 'actualnet-with-node';
  // What only one of the two forms has in common with the other is below the name of the package here.
  const files = packageFiles({ withNode }).map(file => ({
    ...file,
    target: file.target
      .replace('/usr/share/doc/actualnet/', `/usr/share/doc/${name}/`)
      .replace(/(\/man\/.*)$/, '$1.gz'),
    content: file.kind === 'man' ? gzipSync(file.content, { level: 9 }) : file.content,
  }));
  const doc = `/usr/share/doc/${name}`;
  stage(
    [
      ...files,
      { target: `${doc}/copyright`, content: copyright(), mode: 0o644 },
      { target: `${doc}/changelog.gz`, content: gzipSync(debianChangelog(name), { level: 9 }), mode: 0o644 },
      { target: `${doc}/CHANGELOG.md.gz`, content: gzipSync(readFileSync('CHANGELOG.md'), { level: 9 }), mode: 0o644 },
      { target: `${doc}/LICENSES.third-party`, content: thirdPartyLicences(), mode: 0o644 },
      { target: `/usr/share/lintian/overrides/${name}`, content: overrides(name, withNode), mode: 0o644 },
      { target: '/DEBIAN/conffiles', content: conffiles(files), mode: 0o644 },
      { target: '/DEBIAN/control', content: control(name, other, withNode), mode: 0o644 },
      ...['preinst', 'postinst', 'prerm', 'postrm'].map(script => ({
        target: `/DEBIAN/${script}`,
        content: readFileSync(`packaging/debian/${script}`, 'utf8').replaceAll('@VERSION@', version),
        mode: 0o755,
      })),
    ],
    root,
  );
  execFileSync('chmod', ['-R', 'u+rwX,go+rX,go-w', root]);
  const target = path.join(out, `${name}_${version}_${debArch}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', `-Z${values.quick ? 'none' : 'xz'}`, '--build', root, target], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function conffiles(files) {
  return files
    .filter(({ kind }) => kind === 'config')
    .map(({ target }) => `${target}\n`)
    .join('');
}

function control(name, other, withNode) {
  const depends = ['iproute2', ...(withNode ? ['libc6 (>= 2.28)', 'libstdc++6'] : ['libc6', 'nodejs (>= 20.19)'])];
  return `${[
    `Package: ${name}`,
    `Version: ${version}`,
    `Architecture: ${debArch}`,
    'Section: admin',
    'Priority: optional',
    `Maintainer: ${author}`,
    `Depends: ${depends.join(', ')}`,
    'Recommends: libvirt-daemon-system, libvirt-clients',
    'Suggests: arping, logrotate',
    `Conflicts: ${other}`,
    `Replaces: ${other}`,
    ...(withNode ? ['Provides: actualnet'] : []),
    `Description: ${summary}${withNode ? ', with its own Node.js' : ''}`,
    ...description.map(line => ` ${line}`),
    ...(withNode
      ? [' .', ' This package brings the Node.js it runs on, for hosts that have none or an', ' older one than 20.19.']
      : []),
  ].join('\n')}\n`;
}

function copyright() {
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: actualnet

Files: *
Copyright: 2026 actualnet authors
License: Apache-2.0
 On Debian systems, the full text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
Comment: What the bundles contain of others is listed, with its licences, in
 LICENSES.third-party beside this file.
`;
}

function debianChangelog(name) {
  const date = new Date(seconds * 1000).toUTCString().replace('GMT', '+0000');
  return `${name} (${version}) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- ${author}  ${date}\n`;
}

/** What lintian is told to pass over, each with the reason. */
function overrides(name, withNode) {
  return [
    '# Built by the library that it is part of, and left as it was built.',
    `${name}: unstripped-binary-or-object [usr/lib/actualnet/locks.node]`,
    ...(withNode ? [`${name}: unstripped-binary-or-object [usr/lib/actualnet/node]`] : []),
    ...(withNode ? ["# Node.js's own.", `${name}: embedded-library *`] : []),
    '# There is no address to write to.',
    `${name}: bogus-mail-host Maintainer *`,
  ]
    .join('\n')
    .concat('\n');
}

function rpmPackage(name, withNode) {
  const top = path.join(work, `${name}-rpm`);
  const root = path.join(top, 'root');
  const moved = target =>
    target
      .replace('/usr/share/doc/actualnet/', `/usr/share/doc/${name}/`)
      .replace('/usr/share/zsh/vendor-completions/', '/usr/share/zsh/site-functions/');
  const files = packageFiles({ withNode }).map(file => ({
    ...file,
    target: moved(file.target).replace(/(\/man\/.*)$/, '$1.gz'),
    content: file.kind === 'man' ? gzipSync(file.content, { level: 9 }) : file.content,
  }));
  const licences = [
    { target: `/usr/share/licenses/${name}/LICENSE`, content: readFileSync('LICENSE'), mode: 0o644, kind: 'license' },
    { target: `/usr/share/licenses/${name}/third-party`, content: thirdPartyLicences(), mode: 0o644, kind: 'license' },
  ];
  stage([...files, ...licences], root);
  const flags = { config: '%config(noreplace) ', doc: '%doc ', license: '%license ' };
  const listed = [...files, ...licences].map(
    ({ target, mode, kind }) =>
      `%attr(${(mode & 0o777).toString(8).padStart(4, '0')},root,root) ${flags[kind] ?? ''}${target}`,
  );
  const own = /^\/(etc\/actualnet|usr\/lib\/actualnet|usr\/share\/(doc|licenses)\/actualnet[a-z-]*)(\/|$)/;
  const above = target =>
    own.test(path.dirname(target)) ? [path.dirname(target), ...above(path.dirname(target))] : [];
  const directories = [...new Set([...files, ...licences].flatMap(({ target }) => above(target)))].map(
    each => `%dir ${each}`,
  );
  const spec = readFileSync('packaging/actualnet.spec', 'utf8')
    .replaceAll('@NAME@', name)
    .replaceAll('@OTHER@', withNode ? 'actualnet' : 'actualnet-with-node')
    .replaceAll('@VERSION@', version)
    .replaceAll('@SUMMARY@', `${summary}${withNode ? ', with its own Node.js' : ''}`.replace(/^h/, 'H'))
    .replaceAll('@REQUIRES@', withNode ? '' : 'Requires: nodejs >= 1:20.19')
    .replaceAll('@DESCRIPTION@', description.join('\n'))
    .replaceAll('@DATE@', rpmDate(seconds))
    .replaceAll('@FILES@', [...directories, ...listed].join('\n'));
  const specFile = path.join(top, 'actualnet.spec');
  writeFileSync(specFile, spec);
  chmodSync(top, 0o755);
  const define = ([key, value]) => ['--define', `${key} ${value}`];
  const settings = Object.entries({
    _topdir: top,
    _rpmdir: out,
    _rpmfilename: '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm',
    _buildhost: 'localhost',
    use_source_date_epoch_as_buildtime: 1,
    clamp_mtime_to_source_date_epoch: 1,
    build_mtime_policy: 'clamp_to_source_date_epoch',
    staged: root,
    // Tests do not wait for what is small.
    _binary_payload: values.quick ? 'w1.gzdio' : 'w9.zstdio',
  }).flatMap(define);
  const words = ['-bb', '--target', `${rpmArch}-linux`, ...settings, specFile];
  execFileSync('rpmbuild', words, { env: { ...env, HOME: top }, stdio: ['ignore', 'ignore', 'pipe'] });
}

function rpmDate(epoch) {
  const [day, month, date, year] = new Date(epoch * 1000)
    .toDateString()
    .split(' ')
    .map(word => word);
  return `${day} ${month} ${date} ${year}`;
}

/** Outside a checkout: when the changelog was written. */
function lastCommitSeconds() {
  try {
    return Number(
      execFileSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    return Math.trunc(Date.parse('2026-01-01') / 1000);
  }
}
