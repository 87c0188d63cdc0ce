// Usage: node scripts/samples-index.mjs [--check] Writes samples/README.md from the titles of the samples' own pages; with --check,
// tells whether it is another one and ends with 3.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const samples = path.join(fileURLToPath(new URL('..', import.meta.url)), 'samples');
const groups = [
  ['cookbook', /^/, 'One task each'],
  ['gallery', /^(qemu-|failed-|refusal)/, 'Calls of the qemu hook'],
  ['gallery', /^network-/, 'Calls of the network hook'],
  ['gallery', /^interface-/, 'Every type of interface'],
  ['gallery', /^kind-/, 'Every kind of network'],
  ['gallery', /^(?!(qemu|failed|refusal|network|interface|kind))/, 'Migration, devices that come and go, requests'],
];

const lines = groups.flatMap(([folder, fits, title]) => [
  `## ${title}`,
  '',
  ...readdirSync(path.join(samples, folder))
    .filter(name => fits.test(name))
    .sort()
    .map(name => `- [${titleOf(path.join(folder, name))}](${folder}/${name}/README.md)`),
  '',
]);
const text = `# Samples

Each folder has what goes in (documents, \`config.yaml\`, \`setup.sh\` for the links that are there before) and a page with the commands and what
they print. \`npm run samples\` writes that anew, and this list; a test fails where it differs. [config.yaml](config.yaml) is an example of a
configuration; [web1.xml](web1.xml), [networks/](networks) and [web1/](web1) are a guest, its networks and every call of its life.

${lines.join('\n')}`;
const file = path.join(samples, 'README.md');
if (!process.argv.includes('--check')) writeFileSync(file, text);
else if (readFileSync(file, 'utf8') !== text) {
  console.log("samples/README.md: 'npm run samples' writes it anew");
  process.exitCode = 3;
}

function titleOf(folder) {
  return readFileSync(path.join(samples, folder, 'README.md'), 'utf8')
    .split('\n')[0]
    .slice(2);
}
