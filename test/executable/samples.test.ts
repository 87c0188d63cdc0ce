import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { describe, expect, test } from 'vitest';
import { networkPhases, qemuPhases } from '../../src/hook/phases.ts';
import { readDomain } from '../../src/model/domain.ts';
import { interfaceTypes } from '../../src/model/interface.ts';
import { forwardModes, readNetwork } from '../../src/model/network.ts';
import { parseXml } from '../../src/xml/document.ts';
import { projectDirectory } from '../helpers/host.ts';

const samples = path.join(projectDirectory, 'samples');
const gallery = path.join(samples, 'gallery');
const folders = readdirSync(gallery);

describe('there is a sample', () => {
  test.each(Object.keys(qemuPhases))('of the qemu hook’s %s', operation => {
    expect(folders).toContain(`qemu-${operation}`);
  });

  test.each(Object.keys(networkPhases))('of the network hook’s %s', operation => {
    expect(folders).toContain(`network-${operation}`);
  });

  test.each(interfaceTypes)('of an interface of type %s', type => {
    const domain = readDomain(parseXml(readFileSync(path.join(gallery, `interface-${type}`, 'guest.xml'))));
    expect(domain.interfaces.map(each => each.type)).toEqual([type]);
  });

  test.each(forwardModes)('of a network in mode %s', mode => {
    const file = path.join(gallery, `kind-${mode}`, 'network.xml');
    expect(readNetwork(parseXml(readFileSync(file)).root).mode).toBe(mode);
  });

  test('for each folder a page that shows what is printed', () => {
    for (const folder of [...folders.map(name => `gallery/${name}`), 'cookbook/macvtap'])
      expect(readFileSync(path.join(samples, folder, 'README.md'), 'utf8')).toMatch(/^# .+\n[\s\S]*<!-- run: -->/);
    expect(folders.length).toBeGreaterThanOrEqual(40);
    expect(existsSync(path.join(samples, 'README.md'))).toBe(true);
  });
});

test('the list of samples is up to date', () => {
  const script = path.join(projectDirectory, 'scripts/samples-index.mjs');
  const { exitCode, stdout } = execaSync(process.execPath, [script, '--check'], { reject: false });
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
});
