// Usage: node code-cache-commands.cjs COMMAND CACHE. Runs commands that look, one after another, and writes V8's code cache.
const { writeFileSync } = require('node:fs');
const path = require('node:path');

const [, , command, cache] = process.argv;
const samples = path.join(__dirname, '../samples');
const lines = [
  ['--version'],
  ['--help'],
  [],
  ['check'],
  ['check', '--format', 'json'],
  ['status'],
  ['status', '--format', 'json'],
  ['migrations'],
  ['resolve', path.join(samples, 'web1.xml'), '--networks-dir', path.join(samples, 'networks')],
  ['resolve', path.join(samples, 'web1.xml'), '--networks-dir', path.join(samples, 'networks'), '--format', 'json'],
  ['transform', path.join(samples, 'web1.xml')],
  ['no-such-command'],
];
let script;
// Each ends when nothing is left to do.
process.on('beforeExit', next);
next();

function next() {
  process.exitCode = 0;
  const line = lines.shift();
  if (line !== undefined) {
    process.argv = [process.execPath, command, ...line];
    if (script === undefined) script = require(command);
    else script.runInThisContext()(require, command, path.dirname(command));
    // Something must be left to do for the next to have its turn.
    setImmediate(() => {});
  } else if (script !== undefined) {
    writeFileSync(cache, script.createCachedData());
    script = undefined;
  }
}
