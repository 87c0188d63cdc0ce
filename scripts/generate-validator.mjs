// Compiles schemas/config.schema.json into src/config/validator.generated.js, so that ajv is not needed at run time.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv/dist/2020.js';
import standaloneCode from 'ajv/dist/standalone/index.js';

const here = relative => fileURLToPath(new URL(relative, import.meta.url));
const target = here('../src/config/validator.generated.js');

const schema = JSON.parse(readFileSync(here('../schemas/config.schema.json'), 'utf8'));
const ajv = new Ajv({
  schemas: [schema],
  allErrors: true,
  // Messages are made from the schema's titles and keys, which come with each error then.
  verbose: true,
  messages: false,
  allowUnionTypes: true,
  code: { source: true, esm: true },
});
const code = standaloneCode.default(ajv, { validateConfig: schema.$id });
if (/\brequire\(|^import /m.test(code)) throw new Error('the validator would load ajv at run time');
replace(`// Made from schemas/config.schema.json by scripts/generate-validator.mjs.\n${code}\n`);

/** In one step, and only if it differs: tests may be reading it. */
function replace(text) {
  try {
    if (readFileSync(target, 'utf8') === text) return;
  } catch {}
  const temporary = `${target}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, target);
}
