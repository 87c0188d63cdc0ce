import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { projectDirectory, TestHost } from '../helpers/host.ts';

let host: TestHost;
beforeEach(() => {
  host = new TestHost();
  mkdirSync(path.join(host.root, 'etc/actualnet/conf.d'), { recursive: true });
});
afterEach(() => host.remove());

const inConfig = (name: string) => path.join(host.root, 'etc/actualnet', name);

describe('check', () => {
  test('finds no mistake where there is no configuration', () => {
    rmSync(path.join(host.root, 'etc'), { recursive: true });
    expect(host.cli(['check'])).toEqual({ status: 0, stdout: 'configuration is fine: 0 files\n', stderr: '' });
  });

  test('finds none in the sample', () => {
    copyFileSync(path.join(projectDirectory, 'samples/config.yaml'), inConfig('config.yaml'));
    expect(host.cli(['check'])).toEqual({ status: 0, stdout: 'configuration is fine: 1 file\n', stderr: '' });
    writeFileSync(inConfig('conf.d/a.yaml'), '# nothing\n');
    expect(host.cli(['check']).stdout).toBe('configuration is fine: 2 files\n');
    const { status, stdout } = host.cli(['check', '--format', 'json']);
    expect({ status, answer: JSON.parse(stdout) }).toEqual({
      status: 0,
      answer: { files: [inConfig('config.yaml'), inConfig('conf.d/a.yaml')], mistakes: [], remarks: [] },
    });
  });

  test('prints every mistake', () => {
    writeFileSync(inConfig('config.yaml'), 'bridges:\n  br0:\n    # not so\n    isolatd: true\n');
    writeFileSync(inConfig('conf.d/10-web.yaml'), 'interfaces:\n  - match: { guest: web }\n    vlan: [10, 5000]\n');
    const mistakes = [
      `${inConfig('config.yaml')}:4: bridges.br0.isolatd: unknown key 'isolatd' (did you mean 'isolated'?)`,
      `${inConfig('conf.d/10-web.yaml')}:3: interfaces[0].vlan[1]: expected a VLAN id from 1 to 4094, found 5000`,
    ];
    expect(host.cli(['check'])).toEqual({ status: 3, stdout: `${mistakes.join('\n')}\n`, stderr: '' });
    const { status, stdout } = host.cli(['check', '--format', 'json']);
    expect({ status, found: JSON.parse(stdout).mistakes }).toEqual({ status: 3, found: mistakes });
  });

  test('tells of settings that nothing their rule fits can have, in whichever file', () => {
    writeFileSync(inConfig('config.yaml'), 'interfaces:\n  - match: { bridge: br0 }\n    isolated: true\n');
    writeFileSync(inConfig('conf.d/a.yaml'), "interfaces:\n  - match: { dev: 'eno*' }\n    isolated: true\n");
    const line = `${inConfig('conf.d/a.yaml')}:3: interfaces[0].isolated: has no effect on what its rule fits: `;
    const { status, stdout } = host.cli(['check']);
    expect({ status, stdout }).toEqual({ status: 3, stdout: expect.stringMatching(/^[^\n]+\n$/) });
    expect(stdout).toContain(line);
    expect(JSON.parse(host.cli(['check', '--format', 'json']).stdout)).toMatchObject({
      mistakes: [],
      inert: [expect.stringContaining(line)],
    });
  });

  test('remarks on what is hardly meant, and on files that nobody reads, and finds no mistake in that', () => {
    writeFileSync(inConfig('config.yaml'), 'interfaces: [{ match: {} }, { match: { guest: web } }]\n');
    for (const name of [
      'conf.d/20-lab.yml',
      'conf.d/A.YAML',
      'conf.d/.swp.yml',
      'conf.d/old.yaml~',
      'config.yml',
      'net.yaml',
    ])
      writeFileSync(inConfig(name), 'nonsense: 1\n');
    const remarks = [
      `${inConfig('config.yaml')}:1: interfaces[1]: never counts: the rule before it, interfaces[0] in ${inConfig('config.yaml')}:1, fits everything that it fits`,
      ...['config.yml', 'net.yaml', 'conf.d/20-lab.yml', 'conf.d/A.YAML'].map(
        name => `${inConfig(name)}: is not read: only config.yaml and conf.d/*.yaml are`,
      ),
    ];
    const text = ['configuration is fine: 1 file', ...remarks.map(remark => `remark: ${remark}`)];
    expect(host.cli(['check'])).toEqual({ status: 0, stdout: `${text.join('\n')}\n`, stderr: '' });
    const { status, stdout } = host.cli(['check', '--format', 'json']);
    expect({ status, ...JSON.parse(stdout) }).toEqual({
      status: 0,
      files: [inConfig('config.yaml')],
      mistakes: [],
      remarks,
    });
  });

  test('says which file it cannot read', () => {
    mkdirSync(inConfig('config.yaml'));
    expect(host.cli(['check'])).toEqual({
      status: 1,
      stdout: '',
      stderr: `'${inConfig('config.yaml')}' is not a regular file [FILE]\n`,
    });
  });
});

test('the programs carry the compiled schema, not its compiler', () => {
  const dist = path.join(projectDirectory, 'dist');
  const programs = readdirSync(dist).filter(name => /\.[cm]js$/.test(name));
  const texts = programs.map(name => readFileSync(path.join(dist, name), 'utf8'));
  expect(texts.some(text => text.includes('urn:actualnet:schema:config'))).toBe(true);
  expect(texts.filter(text => text.includes('strictTypes'))).toEqual([]);
});
