// Usage: node code-cache.cjs HOOK CACHE. Answers the calls in samples/web1 with HOOK and writes V8's code cache.
const { closeSync, openSync, readdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const [, , hook, cache] = process.argv;
const calls = path.join(__dirname, '../samples/web1');
let script;
for (const file of readdirSync(calls).sort()) {
  const [, driver, object, operation] = /^\d+-(qemu|network)-([a-z0-9]+)-(.*)\.xml$/.exec(file);
  process.argv = [process.execPath, hook, driver, object, operation, 'begin', '-'];
  // The lowest free descriptor is taken: the document becomes stdin.
  closeSync(0);
  openSync(path.join(calls, file));
  if (script === undefined) script = require(hook);
  else script.runInThisContext()(require, hook, path.dirname(hook));
}
writeFileSync(cache, script.createCachedData());
