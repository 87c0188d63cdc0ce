import { describe, expect, test } from 'vitest';
import { parseXml } from '../../../src/xml/document.ts';
import { applyEdits } from '../../../src/xml/edit.ts';
import { decodeReferences, escapeAttribute } from '../../../src/xml/escape.ts';

const text = '\ufeff<a  x=\'1\'>\r\n<!-- & --><b y="&#65;"/>&lt;<![CDATA[<]]></a>\r\n';
const document = parseXml(text);
const b = document.root.children[0]!;
const edit = (start: number, end: number, replacement: string) => ({
  at: { start, end },
  text: replacement,
  why: 'test',
});

describe('edits', () => {
  test('without one the very same document comes back', () => expect(applyEdits(document, [])).toBe(document));

  test('everything outside an edit stays', () => {
    const { valueSpan } = b.attributes.get('y')!;
    const changed = applyEdits(document, [edit(valueSpan.start, valueSpan.end, 'new')]);
    expect(changed.text).toBe(text.replace('&#65;', 'new'));
    expect(changed.root.children[0]?.attribute('y')).toBe('new');
  });

  test('they apply together, in any order; insertions at one place keep theirs', () => {
    const { start, end } = b.span;
    const changed = applyEdits(document, [
      edit(end, end, '<d/>'),
      edit(start, start, '<c/>'),
      edit(start, start, '<c2/>'),
    ]);
    expect(changed.text).toBe(text.replace('<b y="&#65;"/>', '<c/><c2/><b y="&#65;"/><d/>'));
  });

  test('an insertion just before a replacement is no overlap', () => {
    const { start, end } = b.span;
    expect(applyEdits(document, [edit(start, end, '<e/>'), edit(start, start, '<c/>')]).text).toContain(
      '--><c/><e/>&lt;',
    );
  });

  test.each([
    { name: 'overlapping', edits: [edit(12, 30, ''), edit(20, 31, '')] },
    { name: 'backwards', edits: [edit(12, 10, '')] },
    { name: 'outside', edits: [edit(0, text.length + 1, '')] },
  ])('$name edits are a defect of ours', ({ edits }) => {
    expect(() => applyEdits(document, edits)).toThrow(expect.objectContaining({ code: 'BUG' }));
  });

  test('a result that is not well-formed does not leave', () => {
    expect(() => applyEdits(document, [edit(b.span.start, b.span.end, '<b>')])).toThrow(
      expect.objectContaining({ code: 'XML_SYNTAX' }),
    );
  });
});

describe('escaping', () => {
  test.each(['plain', `both " and '`, '<&>', 'tab\tand\r\nlines', '\u00e9 \u{1f600}'])(
    '%j survives a round trip',
    value => {
      for (const quote of ['"', "'"]) {
        const { root } = parseXml(`<a b=${quote}${escapeAttribute(value)}${quote}/>`);
        expect(root.attribute('b')).toBe(value);
      }
    },
  );

  test('references are decoded once', () => {
    expect(decodeReferences('&amp;lt; &#60;&#x3C;&quot;&apos;&gt;')).toBe(`&lt; <<"'>`);
  });
});
