import { describe, expect, test } from 'vitest';
import { errorLine, printable } from '../../../src/report/error.ts';
import { formatTable } from '../../../src/report/table.ts';
import { jsonText, visible } from '../../../src/report/visible.ts';

const hostile: readonly [name: string, text: string, shown: string][] = [
  ['a colour', 'a\u001b[31mb', 'a\\u001b[31mb'],
  ['a bell and a NUL', '\u0007\u0000', '\\u0007\\u0000'],
  ['lines', 'a\r\n\tb', 'a\\r\\n\\tb'],
  ['DEL', 'a\u007f', 'a\\u007f'],
  ['C1: a CSI, a next line', '\u009b2J\u0085', '\\u009b2J\\u0085'],
  ['an override of direction', 'g\u202egnp.exe', 'g\\u202egnp.exe'],
  ['isolates of direction', '\u2066a\u2069', '\\u2066a\\u2069'],
  ['marks of direction', '\u200e\u200f\u061c', '\\u200e\\u200f\\u061c'],
  ['no width', 'we\u200bb\u200c\u200d\u2060\ufeff', 'we\\u200bb\\u200c\\u200d\\u2060\\ufeff'],
  ['a soft hyphen, a filler, a joiner', 'a\u00ad\u3164\u034f', 'a\\u00ad\\u3164\\u034f'],
  ['separators', '\u2028\u2029', '\\u2028\\u2029'],
  ['tags beyond 16 bits', 'a\u{e0041}', 'a\\udb40\\udc41'],
  ['half of a pair', 'a\ud83db', 'a\\ud83db'],
  ['a variation selector', 'a\ufe0f', 'a\\ufe0f'],
];

describe('what would not be seen', () => {
  test.each(hostile)('is shown: %s', (_, text, shown) => {
    expect(visible(text)).toBe(shown);
    expect(printable(text)).toBe(shown);
    expect(errorLine(new Error(text))).toContain(shown);
    expect(formatTable(['NAME'], [[text]])).toBe(`NAME\n${shown}`);
    const json = jsonText({ [text]: [text] });
    expect(json.slice(0, -1).split('\n').map(visible)).toEqual(json.slice(0, -1).split('\n'));
    expect(JSON.parse(json)).toEqual({ [text]: [text] });
  });

  test.each(['web-1', 'Zürich', '東京', 'שלום', 'سلام', 'e\u0301', '🙂', 'a b', 'C:\\u202e', '\u00a0'])(
    'what is seen stays: %s',
    text => {
      expect(visible(text)).toBe(text);
      expect(JSON.parse(jsonText(text))).toBe(text);
    },
  );

  test('JSON keeps its lines', () => {
    expect(jsonText({ a: [1, '\n'] })).toBe('{\n  "a": [\n    1,\n    "\\n"\n  ]\n}\n');
  });
});
