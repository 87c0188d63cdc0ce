// Starts a bundle with V8's code cache, made at build time: compiling is a good part of a hook call. V8 takes a
// cache only from the same V8 and for a source of the same length, so bundle and cache share a name made from the content.
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');

const filename = `${__dirname}/BUNDLE.cjs`;
const source = `(function(require,__filename,__dirname){${readFileSync(filename, 'latin1')}\n})`;
let cachedData;
try {
  cachedData = readFileSync(`${__dirname}/BUNDLE.cache`);
} catch {}
const script = new Script(source, { filename, cachedData });
script.runInThisContext()(require, filename, __dirname);

module.exports = script;
