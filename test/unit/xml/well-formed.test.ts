import { describe, expect, test } from 'vitest';
import { parseXml } from '../../../src/xml/document.ts';
import { xmlLimits } from '../../../src/xml/well-formed.ts';

describe('refused, with line and column', () => {
  test.each([
    { name: 'an empty document', text: '', place: 'line 1, column 1', code: 'XML_SYNTAX' },
    { name: 'only white space', text: '\n ', place: 'line 2, column 2', code: 'XML_SYNTAX' },
    { name: 'only a declaration', text: '<?xml version="1.0"?>', place: 'line 1, column 22', code: 'XML_SYNTAX' },
    { name: 'two roots', text: '<a/>\n<b/>', place: 'line 2, column 1', code: 'XML_SYNTAX' },
    { name: 'two roots with content', text: '<a>x</a><b>y</b>', place: 'line 1, column 9', code: 'XML_SYNTAX' },
    { name: 'text before the root', text: 'x<a/>', place: 'line 1, column 1', code: 'XML_SYNTAX' },
    { name: 'text behind the root', text: '<a/>\n x', place: 'line 2, column 2', code: 'XML_SYNTAX' },
    { name: 'CDATA outside the root', text: '<a/><![CDATA[x]]>', place: 'line 1, column 5', code: 'XML_SYNTAX' },
    { name: 'a missing end', text: '<a>\n<b>', place: 'line 2, column 1', code: 'XML_SYNTAX' },
    { name: 'crossed tags', text: '<a><b></a></b>', place: 'line 1, column 7', code: 'XML_SYNTAX' },
    { name: 'an end without a start', text: '<a/></a>', place: 'line 1, column 5', code: 'XML_SYNTAX' },
    { name: 'a cut tag', text: '<a>\r\n<b c="d', place: 'line 2, column 1', code: 'XML_SYNTAX' },
    { name: 'a cut self-closing root', text: '<a/', place: 'line 1, column 1', code: 'XML_SYNTAX' },
    { name: 'a cut comment', text: '<a/><!-- x', place: 'line 1, column 5', code: 'XML_SYNTAX' },
    { name: 'a cut CDATA section', text: '<a><![CDATA[x</a>', place: 'line 1, column 4', code: 'XML_SYNTAX' },
    { name: 'a cut processing instruction', text: '<a/><?p x', place: 'line 1, column 5', code: 'XML_SYNTAX' },
    { name: "'--' in a comment", text: '<a><!-- x -- y --></a>', place: 'line 1, column 11', code: 'XML_SYNTAX' },
    { name: "']]>' in text", text: '<a>x]]></a>', place: 'line 1, column 5', code: 'XML_SYNTAX' },
    { name: 'an attribute without value', text: '<a b/>', place: 'line 1', code: 'XML_SYNTAX' },
    { name: 'an attribute without quotes', text: '<a b=c/>', place: 'line 1', code: 'XML_SYNTAX' },
    { name: 'an attribute twice', text: "<a b='1' b='2'/>", place: 'line 1', code: 'XML_SYNTAX' },
    { name: 'attributes without a blank between', text: "<a b='1'c='2'/>", place: 'line 1', code: 'XML_SYNTAX' },
    { name: "'<' in an attribute", text: "<a b='<'/>", place: 'line 1, column 1', code: 'XML_SYNTAX' },
    { name: 'a bare ampersand', text: '<a>x & y</a>', place: 'line 1, column 6', code: 'XML_SYNTAX' },
    { name: 'a bare ampersand in an attribute', text: "<a b='&'/>", place: 'line 1, column 7', code: 'XML_SYNTAX' },
    { name: 'an unknown entity', text: '<a>&nbsp;</a>', place: 'line 1, column 4', code: 'XML_SYNTAX' },
    { name: 'character number 0', text: '<a>&#0;</a>', place: 'line 1, column 4', code: 'XML_SYNTAX' },
    { name: 'a surrogate as number', text: '<a>&#xd800;</a>', place: 'line 1, column 4', code: 'XML_SYNTAX' },
    { name: 'a control character', text: '<a>\u0001</a>', place: 'line 1, column 4', code: 'XML_SYNTAX' },
    {
      name: 'a declaration not at the start',
      text: '\n<?xml version="1.0"?><a/>',
      place: 'line 2, column 1',
      code: 'XML_SYNTAX',
    },
    { name: 'a DOCTYPE', text: '<!DOCTYPE a><a/>', place: 'line 1, column 1', code: 'XML_SYNTAX' },
    {
      name: 'a second declaration of another kind',
      text: '<?XML version="1.0"?><a/>',
      place: 'line 1, column 1',
      code: 'XML_SYNTAX',
    },
    {
      name: 'a declaration without a version',
      text: '<?xml encoding="UTF-8"?><a/>',
      place: 'line 1, column 1',
      code: 'XML_SYNTAX',
    },
    { name: 'an instruction without a name', text: '<a/><?? ?>', place: 'line 1, column 5', code: 'XML_SYNTAX' },
    { name: 'an equals sign without an attribute', text: '<a =/>', place: 'line 1, column 1', code: 'XML_SYNTAX' },
    { name: 'an equals sign too many', text: "<a = b='1'/>", place: 'line 1, column 1', code: 'XML_SYNTAX' },
    { name: 'a blank that is none in XML', text: "<a\u00a0b='1'/>", place: 'line 1, column 1', code: 'XML_SYNTAX' },
    {
      name: 'an attribute twice on a later line',
      text: "<a>\r\n<!-- x --><b\n c='1'\n c='2'/></a>",
      place: 'line 4',
      code: 'XML_SYNTAX',
    },
    { name: 'nothing but quotes', text: `<a ${'"'.repeat(7_000_000)}`, place: 'line 1, column 1', code: 'XML_LIMIT' },
    { name: 'a name that starts with a digit', text: '<1a/>', place: 'line 1', code: 'XML_SYNTAX' },
    { name: 'an element too deep', text: '<a>'.repeat(201), place: 'line 1, column 601', code: 'XML_LIMIT' },
    { name: 'a huge tag', text: `<a b='${'x'.repeat(xmlLimits.tag)}'/>`, place: 'line 1, column 1', code: 'XML_LIMIT' },
    {
      name: 'a document over 8 MiB',
      text: `<!--${' '.repeat(xmlLimits.bytes)}--><a/>`,
      place: 'line 1, column 1',
      code: 'XML_LIMIT',
    },
  ])('$name', ({ text, place, code }) => {
    expect(() => parseXml(text)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(`^${place}\\b`) }),
    );
    expect(() => parseXml(Buffer.from(text))).toThrow(expect.objectContaining({ code }));
  });

  test.each([
    {
      name: 'bytes that are no UTF-8',
      bytes: Buffer.from('<a>\n\xff</a>', 'latin1'),
      message: 'line 2, column 1: the document is not UTF-8',
    },
    {
      name: 'UTF-16',
      bytes: Buffer.from('\ufeff<a/>', 'utf16le'),
      message: 'line 1, column 1: the document is not UTF-8',
    },
    {
      name: 'another declared encoding with more than ASCII',
      bytes: Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'),
      message: "line 1, column 1: the document says it is 'ISO-8859-1', only UTF-8 is read",
    },
  ])('$name', ({ bytes, message }) => {
    expect(() => parseXml(bytes)).toThrow(expect.objectContaining({ code: 'XML_ENCODING', message }));
  });
});

describe('accepted', () => {
  test.each([
    { name: 'a single element', text: '<a/>' },
    { name: 'a byte-order mark and a declaration', text: '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<a/>' },
    { name: 'comments and instructions around the root', text: '<!-- - --><?p <x> ?><a/><!---->\n' },
    { name: "'>' in attributes and text", text: "<a b='>'>></a>" },
    { name: 'both kinds of quotes', text: `<a b='"' c="'"/>` },
    { name: 'blanks where XML allows them', text: '<a\n b = "c"\t></a\n>' },
    {
      name: 'an ASCII document that declares another encoding',
      text: '<?xml version="1.0" encoding="ISO-8859-1"?><a/>',
    },
    { name: 'prefixes nobody declared', text: '<q:a q:b="c"/>' },
    {
      name: 'names that mean something in JavaScript',
      text: '<__proto__ constructor="1"><constructor/><toString/></__proto__>',
    },
    { name: '200 levels', text: '<a>'.repeat(200) + '</a>'.repeat(200) },
    { name: 'an apostrophe in an instruction', text: "<?x it's ?><a/>" },
    { name: 'character numbers with zeros in front', text: '<a>&#0000000065;&#x00000041;</a>' },
    { name: 'megabytes of text', text: `<a>${'x\r\n'.repeat(1_000_000)}</a>` },
    { name: 'a markup-like CDATA section', text: '<a><![CDATA[</a><!-- ]] > & ]]></a>' },
  ])('$name', ({ text }) => {
    expect(parseXml(text).text).toBe(text);
    expect(parseXml(Buffer.from(text)).text).toBe(text);
  });
});
