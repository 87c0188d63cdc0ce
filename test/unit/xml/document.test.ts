import { describe, expect, test } from 'vitest';
import { parseXml, type XmlElement } from '../../../src/xml/document.ts';

const source = `\ufeff<?xml version='1.0'?>\r
<!-- <not/> an element -->\r
<domain type='kvm' xmlns:q="urn:q"\r
  id = "7">\r
  <name>caf\u00e9 &amp; &#x42;ar<!-- no -->!</name>\r
  <q:commandline><q:arg value='a=&quot;b&quot;,c>d'/></q:commandline>\r
  <policy>0x0001</policy><empty></empty>\r
  <text>one<![CDATA[ &two; <2>]]> three<x/>four\r\nfive</text>\r
  <\u00fcber \u00e4="1"/>\r
</domain >\r
<!-- behind -->\r
`;
const { root } = parseXml(source);
const named = (name: string): XmlElement => root.child(name)!;

describe('elements', () => {
  test.each([
    { name: 'name', written: '<name>café &amp; &#x42;ar<!-- no -->!</name>' },
    { name: 'q:commandline', written: `<q:commandline><q:arg value='a=&quot;b&quot;,c>d'/></q:commandline>` },
    { name: 'policy', written: '<policy>0x0001</policy>' },
    { name: 'empty', written: '<empty></empty>' },
    { name: '\u00fcber', written: '<\u00fcber \u00e4="1"/>' },
  ])('<$name> has its exact span', ({ name, written }) => {
    expect(named(name).outerXml).toBe(written);
  });

  test('the root ends after its own tag, whatever follows', () => {
    expect(root.outerXml.startsWith("<domain type='kvm'")).toBe(true);
    expect(root.outerXml.endsWith('</domain >')).toBe(true);
    expect(source.slice(root.startTagEnd, root.startTagEnd + 4)).toBe('\r\n  ');
  });

  test.each([
    { name: 'name', text: 'café & Bar!' },
    { name: 'policy', text: '0x0001' },
    { name: 'empty', text: '' },
    { name: '\u00fcber', text: '' },
    { name: 'text', text: 'one &two; <2> threefour\nfive' },
  ])('<$name> says $text', ({ name, text }) => expect(named(name).text).toBe(text));

  test('attributes have their value decoded and their places', () => {
    const id = root.attributes.get('id')!;
    expect(root.attribute('type')).toBe('kvm');
    expect(source.slice(id.span.start, id.span.end)).toBe('id = "7"');
    expect(source.slice(id.valueSpan.start, id.valueSpan.end)).toBe('7');
    expect(named('q:commandline').children[0]?.attribute('value')).toBe('a="b",c>d');
    expect(root.attribute('missing')).toBeUndefined();
  });

  test('white space in an attribute is read as blanks, unless it is written as a reference', () => {
    const element = parseXml("<a b='1\r\n2\t3\n4&#10;5'/>").root;
    expect(element.attribute('b')).toBe('1 2 3 4\n5');
  });

  test('instructions with quotes and markup in them hide nothing', () => {
    const text = "<?x ' ?><a><?y '<b/>' ?><n>real</n><?z ' ?><n>z</n><!-- ' --></a>";
    const names = parseXml(text).root.children.map(child => [child.outerXml, child.text]);
    expect(names).toEqual([
      ['<n>real</n>', 'real'],
      ['<n>z</n>', 'z'],
    ]);
  });

  test('lines are counted from 1 and namespaces follow their prefix', () => {
    expect([root.line, named('name').line]).toEqual([3, 5]);
    expect(named('q:commandline').namespace).toBe('urn:q');
    expect(named('q:commandline').localName).toBe('commandline');
    expect(named('name').namespace).toBeUndefined();
    expect(parseXml("<a xmlns='urn:d'><b/></a>").root.children[0]?.namespace).toBe('urn:d');
  });

  test('children come in order and can be found by name', () => {
    const element = parseXml('<a><b n="1"/><c/><b n="2"/></a>').root;
    expect(element.children.map(({ name }) => name)).toEqual(['b', 'c', 'b']);
    expect(element.childrenNamed('b').map(child => child.attribute('n'))).toEqual(['1', '2']);
    expect(element.child('b')?.parent).toBe(element);
    expect([element.child('b')?.isSelfClosing, element.isSelfClosing]).toEqual([true, false]);
  });
});
