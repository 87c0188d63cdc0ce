import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { XMLParser } from 'fast-xml-parser';
import { describe, expect, test } from 'vitest';
import { parseXml, type XmlElement } from '../../../src/xml/document.ts';

/** Elements with their places, attributes and text, as another reader of XML finds them. */
interface Tree {
  readonly name: string;
  readonly start: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Tree[];
}

const metaData = XMLParser.getMetaDataSymbol() as unknown as string;
const parser = new XMLParser({
  preserveOrder: true,
  captureMetaData: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
});

type Ordered = Record<string, Ordered[]>;

function ofOther(nodes: readonly Ordered[]): Tree[] {
  return nodes.flatMap(node => {
    const name = Object.keys(node).find(key => key !== ':@')!;
    if (name.startsWith('#')) return [];
    const { startIndex } = node[metaData] as unknown as { startIndex: number };
    const attributes = (node[':@'] ?? {}) as unknown as Record<string, string>;
    return { name, start: startIndex, attributes, children: ofOther(node[name]!) };
  });
}

function ofOurs({ name, span, attributes, children }: XmlElement): Tree {
  const values = Object.fromEntries([...attributes.values()].map(each => [each.name, each.value]));
  return { name, start: span.start, attributes: values, children: children.map(ofOurs) };
}

const samples = path.resolve(import.meta.dirname, '../../../samples');
const documents = readdirSync(samples, { recursive: true, encoding: 'utf8' }).filter(
  file => file.endsWith('.xml') && !readFileSync(path.join(samples, file), 'utf8').includes('<metadata'),
);

describe('the tree of a document is what fast-xml-parser finds', () => {
  test.each(documents)('%s', file => {
    const text = readFileSync(path.join(samples, file), 'utf8');
    expect(documents.length).toBeGreaterThan(10);
    expect([ofOurs(parseXml(text).root)]).toEqual(ofOther(parser.parse(text) as Ordered[]));
  });

  test.each([
    '<a b=\'1\' c="2"><d/>x<e>y</e><!-- <f/> --><![CDATA[<g/>]]></a>',
    "<a\n  b='&lt;x&gt;'\n><d e=''/></a\n>",
    '<q:a xmlns:q="urn:q"><q:b q:c="1"><q:b/></q:b></q:a>',
    `<a>${'<b><c d="1"/></b>'.repeat(500)}</a>`,
  ])('%#', text => {
    expect([ofOurs(parseXml(text).root)]).toEqual(ofOther(parser.parse(text) as Ordered[]));
  });
});
