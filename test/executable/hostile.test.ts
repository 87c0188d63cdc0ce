import path from 'node:path';
import { execaSync } from 'execa';
import { afterAll, describe, expect, test } from 'vitest';
import { xmlLimits } from '../../src/xml/well-formed.ts';
import { guestUuid } from '../helpers/documents.ts';
import { projectDirectory, TestHost } from '../helpers/host.ts';

const host = new TestHost();
afterAll(() => host.remove());

const wrap = (content: string) => `<domain id='1'><name>g1</name><uuid>${guestUuid}</uuid>${content}</domain>`;
const fill = (piece: string, bytes = xmlLimits.bytes - 1000) =>
  piece.repeat(Math.floor(bytes / Buffer.byteLength(piece)));

const documents = [
  { name: 'nothing', text: '' },
  { name: 'white space', text: '  \n ' },
  { name: 'cut off in a tag', text: '<domain><name>g1</name' },
  { name: 'cut off in a comment', text: '<domain/><!-- ' },
  { name: 'cut off in a self-closing root', text: '<domain/' },
  { name: 'two roots', text: '<domain/><domain/>' },
  { name: 'mismatched tags', text: '<domain><name></domain></name>' },
  { name: 'text behind the root', text: '<domain/>log line' },
  { name: 'a log line in front', text: 'debug: <domain/>' },
  { name: 'a DOCTYPE', text: '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><domain>&x;</domain>' },
  { name: 'an entity nobody declared', text: wrap('<a>&lol;</a>') },
  { name: 'no UTF-8', text: Buffer.from([0x3c, 0x61, 0xff, 0x2f, 0x3e]) },
  { name: 'another kind of document', text: '<network><name>g1</name></network>' },
  { name: 'no name', text: `<domain><uuid>${guestUuid}</uuid></domain>` },
  { name: 'no uuid', text: '<domain><name>g1</name></domain>' },
  { name: 'a uuid that is a path', text: '<domain><name>g1</name><uuid>../../../../etc/passwd</uuid></domain>' },
  { name: '201 levels', text: wrap('<a>'.repeat(200) + '</a>'.repeat(200)) },
  { name: '8 MiB of levels', text: fill('<a>') },
  { name: '8 MiB of elements', text: wrap(fill('<a/>')) },
  { name: '8 MiB in one attribute', text: wrap(`<a b='${fill('x')}'/>`) },
  { name: '8 MiB of open quotes', text: wrap(`<a ${fill('b="')}`) },
  { name: '4097 interfaces', text: wrap(`<devices>${'<interface/>'.repeat(4097)}</devices>`) },
  {
    name: '8 MiB of line ends before a wrong value',
    text: `<domain><name>g1</name>${fill('\n')}<uuid>1</uuid></domain>`,
  },
  { name: 'a name of 2 KiB', text: `<domain><name>${'n'.repeat(2048)}</name><uuid>${guestUuid}</uuid></domain>` },
  { name: 'more than 8 MiB', text: wrap(`<!-- ${fill('x', xmlLimits.bytes + 1)} -->`) },
];
const accepted = [
  { name: '8 MiB of text', text: wrap(`<a>${fill('x')}</a>`) },
  { name: '8 MiB of line ends', text: wrap(fill('\r\n')) },
  { name: '8 MiB of entities', text: wrap(fill('&#65;')) },
  { name: '8 MiB of CDATA sections', text: wrap(fill('<![CDATA[]]>')) },
  { name: '8 MiB of instructions', text: wrap(fill(`<?a ${'b '.repeat(1000)}?>`)) },
  {
    name: 'many tags full of attributes',
    text: wrap(`<a ${Array.from({ length: 10_000 }, (_, n) => `a${n}=''`).join(' ')}/>`.repeat(60)),
  },
  { name: '4096 interfaces', text: wrap(`<devices>${"<interface type='ethernet'/>".repeat(4096)}</devices>`) },
  {
    name: '4096 interfaces of an unknown network',
    text: wrap(`<devices>${"<interface type='network'><source network='n'/></interface>".repeat(4096)}</devices>`),
  },
  { name: '4096 host devices', text: wrap(`<devices>${'<hostdev/>'.repeat(4096)}</devices>`) },
  { name: '8 MiB in comments', text: wrap(`<!--${fill('x')}-->`) },
  { name: '8 MiB of entities in pieces', text: wrap(fill(`<a>${'&amp;'.repeat(10_000)}</a>`)) },
  { name: '8 MiB of line ends in pieces', text: wrap(fill(`<a>${'\r\n'.repeat(50_000)}</a>`)) },
  { name: 'many elements', text: wrap('<a/>'.repeat(xmlLimits.elements - 3)) },
  {
    name: 'many attributes',
    text: wrap(`<a ${Array.from({ length: 10_000 }, (_, index) => `a${index}=''`).join(' ')}/>`),
  },
];

/** Several times what the largest documents take, so that a slow machine passes and what grows faster than its document does not. */
const cpuLimitMs = 8000;

/** Runs the program with a look at its largest size and its CPU time. */
function measure(operation: string, text: string | Uint8Array) {
  const peak = path.join(projectDirectory, 'test/helpers/peak-memory.cjs');
  const words = ['-r', peak, path.join(projectDirectory, 'dist/hook.cjs'), 'qemu', 'g1', operation, 'begin', '-'];
  const { exitCode, stdout, stderr } = execaSync(process.execPath, words, {
    input: text,
    env: host.env,
    extendEnv: false,
    reject: false,
    timeout: 60_000,
    stripFinalNewline: false,
  });
  const [, message, kibibytes, cpuMs] = /^(.*)peak (\d+) cpu (\d+)\n$/s.exec(stderr) ?? [
    undefined,
    stderr,
    'NaN',
    'NaN',
  ];
  const inTime = Number(cpuMs) < cpuLimitMs;
  return { exitCode, stdout, message: message!, inTime, megabytes: Number(kibibytes) / 1024 };
}

describe('hostile documents', () => {
  test.each(documents)('$name ends in one line, in bounded time and memory', ({ text }) => {
    const { exitCode, stdout, message, inTime, megabytes } = measure('prepare', text);
    expect({ exitCode, stdout, inTime }).toEqual({ exitCode: 1, stdout: '', inTime: true });
    expect(message).toMatch(
      /^guest 'g1', prepare: [^\n]{1,2100} \[(XML_SYNTAX|XML_LIMIT|XML_ENCODING|XML_KIND|XML_VALUE)\]\n$/,
    );
    expect(megabytes).toBeLessThan(200);
  });

  test.each(documents)('$name does not fail reconnect', ({ text }) => {
    expect(measure('reconnect', text)).toMatchObject({ exitCode: 0, stdout: '', message: '', inTime: true });
  });

  test.each(accepted)('$name is accepted, in bounded time and memory', ({ text }) => {
    const { exitCode, message, inTime, megabytes } = measure('prepare', text);
    expect({ exitCode, message, inTime }).toEqual({ exitCode: 0, message: '', inTime: true });
    expect(megabytes).toBeLessThan(200);
  });
});
