// What packages hold: one list for all forms. Paths on the left are from the project's top, on the right on the host.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const project = path.resolve(import.meta.dirname, '..');
export const manifest = JSON.parse(readFileSync(path.join(project, 'package.json'), 'utf8'));
const lib = '/usr/lib/actualnet';
const docs = '/usr/share/doc/actualnet';

const read = file => readFileSync(path.join(project, file));
/** All files below a folder, from it. */
const below = folder =>
  readdirSync(path.join(project, folder), { recursive: true })
    .filter(file => statSync(path.join(project, folder, file)).isFile())
    .sort();

/** The runtime that comes with a package: the registry's own package for this machine's architecture. */
export const runtime = path.join(project, 'node_modules', `node-linux-${process.arch}`);

/** A launcher with the paths of Node and of the program in it, as install.sh writes them. */
function launcher(name, node, program) {
  const text = read(`hooks/${name}`).toString();
  const filled = text.replace(/^node=.*$/m, `node='${node}'`).replace(/^program=$/m, `program='${program}'`);
  if (!filled.includes(`program='${program}'`)) throw new Error(`hooks/${name} has no line for the program`);
  return filled;
}

/** The files of a package as { target, mode, content, kind }, the configuration among them; `withNode` adds the runtime. */
export function packageFiles({ withNode }) {
  const node = withNode ? `${lib}/node` : '/usr/bin/node';
  const file = (target, content, mode = 0o644, kind = 'file') => ({ target, content, mode, kind });
  const copy = (folder, target, kind) =>
    below(folder).map(name => file(`${target}/${name}`, read(`${folder}/${name}`), 0o644, kind));
  const unit = name => read(`systemd/${name}`).toString().replaceAll('/usr/local/sbin/', '/usr/sbin/');
  return [
    ...copy('dist', lib).filter(({ target }) => !/\/(man|completions)\/|\/\.new-/.test(target)),
    ...copy('schemas', `${lib}/schemas`),
    ...['qemu', 'network'].map(name => file(`${lib}/hooks/${name}`, launcher(name, node, `${lib}/hook.cjs`), 0o755)),
    file(`${lib}/maintain`, read('packaging/maintain'), 0o755),
    file(`${lib}/node-path`, `${node}\n`),
    ...(withNode ? [file(`${lib}/node`, readFileSync(path.join(runtime, 'bin/node')), 0o755)] : []),
    ...(withNode ? [file(`${docs}/LICENSE.node`, readFileSync(path.join(runtime, 'LICENSE')), 0o644, 'doc')] : []),
    file('/usr/sbin/actualnet', launcher('actualnet', node, `${lib}/actualnet.cjs`), 0o755),
    ...readdirSync(path.join(project, 'systemd')).map(name => file(`/usr/lib/systemd/system/${name}`, unit(name))),
    file('/etc/actualnet/config.yaml', commentedConfig(), 0o644, 'config'),
    file('/etc/logrotate.d/actualnet', read('packaging/logrotate'), 0o644, 'config'),
    ...copy('samples', `${docs}/samples`, 'doc'),
    ...copy('docs', `${docs}/docs`, 'doc'),
    ...['README.md', 'ARCHITECTURE.md'].map(name => file(`${docs}/${name}`, read(name), 0o644, 'doc')),
    file('/usr/share/man/man8/actualnet.8', read('dist/man/actualnet.8'), 0o644, 'man'),
    file('/usr/share/man/man5/actualnet.yaml.5', read('dist/man/actualnet.yaml.5'), 0o644, 'man'),
    file('/usr/share/bash-completion/completions/actualnet', read('dist/completions/actualnet.bash')),
    file('/usr/share/zsh/vendor-completions/_actualnet', read('dist/completions/_actualnet')),
    file('/usr/share/fish/vendor_completions.d/actualnet.fish', read('dist/completions/actualnet.fish')),
  ];
}

/** The example with every line that asks for something commented out: installing changes nothing. */
function commentedConfig() {
  const lines = read('samples/config.yaml').toString().trimEnd().split('\n');
  const head = [
    '# What actualnet does on this host. Nothing, as long as every key is commented out.',
    "# 'actualnet check' finds mistakes; actualnet.yaml(5) explains each key. Files in conf.d/*.yaml are read as well.",
    '',
  ];
  return `${[...head, ...lines.slice(2).map(line => (line === '' || line.startsWith('#') ? line : `#${line}`))].join('\n')}\n`;
}

/** Licences of what is in the bundles, in one text. */
export function thirdPartyLicences() {
  const names = Object.keys(JSON.parse(read('package-lock.json')).packages).filter(name =>
    name.startsWith('node_modules/'),
  );
  const bundled = names.filter(name => isBundled(name)).sort();
  return bundled
    .map(name => {
      const { version, license } = JSON.parse(read(`${name}/package.json`));
      const text = readdirSync(path.join(project, name)).find(file => /^licen[cs]e/i.test(file));
      return `${name.replace(/^.*node_modules\//, '')} ${version} (${license})\n\n${text === undefined ? '' : read(`${name}/${text}`)}\n`;
    })
    .join(`${'-'.repeat(72)}\n`);
}

const lock = JSON.parse(readFileSync(path.join(project, 'package-lock.json'), 'utf8')).packages;
function isBundled(name) {
  return (
    lock[name].dev !== true &&
    lock[name].optional !== true &&
    statSync(path.join(project, name), { throwIfNoEntry: false }) !== undefined
  );
}

/** Writes files below `root` as they will be on the host. */
export function stage(files, root) {
  for (const { target, content, mode } of files) {
    const place = path.join(root, target);
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, content, { mode });
  }
}
