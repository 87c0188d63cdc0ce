import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execaSync } from 'execa';
import { describe, expect, test } from 'vitest';
import schema from '../../schemas/config.schema.json' with { type: 'json' };
import { describeCommands } from '../../src/cli/describe.ts';
import { projectDirectory } from '../helpers/host.ts';
import { titled } from '../libvirt/expectations.ts';

const built = (name: string) => path.join(projectDirectory, 'dist', name);
const read = (name: string) => readFileSync(built(name), 'utf8');
const why = (program: string) =>
  execaSync('sh', ['-c', `command -v ${program}`], { reject: false }).exitCode === 0
    ? undefined
    : `there is no '${program}'`;
const commands = await describeCommands();
const manual = read('man/actualnet.8').replaceAll('\\-', '-');
const completions = ['completions/actualnet.bash', 'completions/_actualnet', 'completions/actualnet.fish'] as const;

describe('manual pages and completion', () => {
  test.each(commands)('have $name with all its options', ({ name, words, arguments: args }) => {
    expect(manual).toContain(`.B ${words}\n`);
    for (const { name: option, isPositional, describe: said, choices } of args) {
      expect(said, option).not.toBe('');
      if (isPositional) continue;
      expect(manual).toContain(`.B --${option}`);
      for (const file of completions) {
        const text = read(file);
        expect(text, file).toContain(name);
        expect(text, file).toContain(file.endsWith('fish') ? `-l ${option}` : `--${option}`);
        for (const choice of choices) expect(text, file).toContain(choice);
      }
    }
  });

  test('actualnet.yaml(5) has every key at the top of the schema', () => {
    const text = read('man/actualnet.yaml.5');
    for (const key of Object.keys(schema.properties)) expect(text).toMatch(new RegExp(`^\\.B ${key}$`, 'm'));
  });

  const man = why('man') ?? why('groff');
  test.skipIf(man).each(['actualnet.8', 'actualnet.yaml.5'])(titled('man has no complaint about %s', man), page => {
    const words = ['--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', built(`man/${page}`)];
    const { exitCode, stderr } = execaSync('man', words, { env: { LC_ALL: 'C.UTF-8' }, reject: false });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  const mandoc = why('mandoc');
  test.skipIf(mandoc)(titled('nor has mandoc', mandoc), () => {
    const pages = ['actualnet.8', 'actualnet.yaml.5'].map(page => built(`man/${page}`));
    const { stdout } = execaSync('mandoc', ['-Tlint', '-Wwarning', ...pages], { reject: false });
    expect(stdout).toBe('');
  });

  test.each([
    ['bash', ['-n', built(completions[0])]],
    ['zsh', ['-n', built(completions[1])]],
    ['fish', ['-n', built(completions[2])]],
  ] as const)('%s reads its completion, where it is there', (shell, words) => {
    if (why(shell) !== undefined) return;
    expect(execaSync(shell, words, { reject: false })).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('bash completes commands, options and choices', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'actualnet-complete-'));
    const script = path.join(directory, 'try');
    writeFileSync(
      script,
      `source ${built(completions[0])}
       try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _actualnet; echo "\${COMPREPLY[*]}"; }
       try actualnet und; try actualnet log --fo; try actualnet resolve --format x; try actualnet doctor --`,
    );
    const { stdout } = execaSync('bash', [script]);
    rmSync(directory, { recursive: true });
    expect(stdout.split('\n')).toEqual(['undo', '--follow --format', 'xml', '--hooks --format --help']);
  });
});
