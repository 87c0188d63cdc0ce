import { ActualnetError } from '../report/error.ts';
import { decodeReferences } from './escape.ts';
import { type Foreign, findForeign } from './foreign.ts';
import { lineCounter } from './lines.ts';
import type { Span } from './span.ts';
import { describePosition, type Node, readElements, xmlLimits } from './well-formed.ts';

export interface XmlAttribute {
  readonly name: string;
  readonly value: string;
  /** Name, equals sign and quoted value, without the white space before it. */
  readonly span: Span;
  /** The value as written, without the quotes. */
  readonly valueSpan: Span;
}

/** A parsed document together with the very text it came from. */
export interface XmlDocument {
  readonly text: string;
  readonly root: XmlElement;
}

/** A document's text, and what was left out of its tree. */
class Source {
  readonly text: string;
  readonly foreign: readonly Foreign[];
  readonly lineOf: (index: number) => number;

  constructor(text: string, foreign: readonly Foreign[]) {
    this.text = text;
    this.foreign = foreign;
    this.lineOf = lineCounter(text);
  }
}

/**
 * One element. Names are as written, prefix included; attributes and text are read from the source when asked for. Of what is
 * foreign in `<metadata>` there are no elements.
 */
export class XmlElement {
  readonly #source: Source;
  readonly span: Span;
  readonly name: string;
  readonly parent: XmlElement | undefined;
  readonly children: readonly XmlElement[];
  #attributes: ReadonlyMap<string, XmlAttribute> | undefined;

  constructor(source: Source, parent: XmlElement | undefined, node: Node) {
    this.#source = source;
    this.parent = parent;
    this.span = node.span;
    this.name = node.name;
    this.children = node.children.map(child => new XmlElement(source, this, child));
  }

  get source(): string {
    return this.#source.text;
  }

  /** How many elements directly inside were left out as foreign. */
  get foreignCount(): number {
    let count = 0;
    let child = 0;
    for (const { start, end, elements } of this.#source.foreign) {
      while (child < this.children.length && this.children[child]!.span.end <= start) child++;
      const isInChild = (this.children[child]?.span.start ?? end) < start;
      if (this.span.start < start && end < this.span.end && !isInChild) count += elements;
    }
    return count;
  }

  /** The text directly inside: references decoded, CDATA unpacked, comments left out, line ends as XML reads them. */
  get text(): string {
    if (this.isSelfClosing) return '';
    let text = '';
    let at = this.startTagEnd;
    for (const child of this.children) {
      text += readCharacterData(this.source.slice(at, child.span.start));
      at = child.span.end;
    }
    return text + readCharacterData(this.source.slice(at, this.source.lastIndexOf('<', this.span.end - 1)));
  }

  /** The element as written. */
  get outerXml(): string {
    return this.source.slice(this.span.start, this.span.end);
  }

  get attributes(): ReadonlyMap<string, XmlAttribute> {
    this.#attributes ??= readAttributes(this);
    return this.#attributes;
  }

  /** Where the start tag ends, after its '>'. */
  get startTagEnd(): number {
    let end = this.span.start + 1 + this.name.length;
    for (const attribute of this.attributes.values()) end = attribute.span.end;
    return this.source.indexOf('>', end) + 1;
  }

  get isSelfClosing(): boolean {
    return this.startTagEnd === this.span.end;
  }

  /** The line the element starts on, counted from 1. */
  get line(): number {
    return this.#source.lineOf(this.span.start);
  }

  attribute(name: string): string | undefined {
    return this.attributes.get(name)?.value;
  }

  /** The first child of that name, as libvirt's own XPath look-ups take it. */
  child(name: string): XmlElement | undefined {
    return this.children.find(child => child.name === name);
  }

  childrenNamed(name: string): readonly XmlElement[] {
    return this.children.filter(child => child.name === name);
  }

  get localName(): string {
    return this.name.slice(this.name.indexOf(':') + 1);
  }

  /** The namespace the element's prefix (or the lack of one) stands for here. */
  get namespace(): string | undefined {
    const colon = this.name.indexOf(':');
    const declaration = colon === -1 ? 'xmlns' : `xmlns:${this.name.slice(0, colon)}`;
    for (let scope: XmlElement | undefined = this; scope !== undefined; scope = scope.parent) {
      const uri = scope.attribute(declaration);
      if (uri !== undefined) return uri;
    }
    return undefined;
  }
}

/**
 * Parses a document strictly. Everything is kept: `document.text` encodes back to the same bytes.
 *
 * Throws `XML_SYNTAX`, `XML_LIMIT` or `XML_ENCODING` with line and column.
 */
export function parseXml(input: Uint8Array | string): XmlDocument {
  const text = typeof input === 'string' ? input : decodeUtf8(input);
  if (text.length > xmlLimits.whole) throw tooLarge(xmlLimits.whole);
  const foreign = findForeign(text);
  const foreignLength = foreign.reduce((sum, { start, end }) => sum + end - start, 0);
  if (text.length - foreignLength > xmlLimits.bytes) throw tooLarge(xmlLimits.bytes);
  return { text, root: new XmlElement(new Source(text, foreign), undefined, readElements(text, foreign)) };
}

function tooLarge(bytes: number): ActualnetError {
  return new ActualnetError('XML_LIMIT', `line 1, column 1: a document larger than ${bytes} bytes`);
}

function decodeUtf8(bytes: Uint8Array): string {
  if (bytes.length > xmlLimits.whole) throw tooLarge(xmlLimits.whole);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const readable = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
    const place = describePosition(readable, Math.max(readable.indexOf('\ufffd'), 0));
    throw new ActualnetError('XML_ENCODING', `${place}: the document is not UTF-8`, {
      hint: 'convert it with iconv first',
      cause,
    });
  }
  const declared = /^\ufeff?<\?xml[^>]*\bencoding\s*=\s*["']([^"']*)["']/.exec(text)?.[1];
  // Of the others, those that spell ASCII as ASCII do no harm as long as there is nothing else in the document.
  const known = /[^\0-\x7f]/.test(text) ? /^utf-?8$/i : /^(utf-?8|(us-)?ascii|iso-8859-\d+|windows-125\d)$/i;
  if (declared !== undefined && !known.test(declared)) {
    throw new ActualnetError(
      'XML_ENCODING',
      `line 1, column 1: the document says it is '${declared}', only UTF-8 is read`,
    );
  }
  return text;
}

function readCharacterData(source: string): string {
  const data = source.replace(/\r\n?/g, '\n');
  if (!data.includes('<')) return decodeReferences(data);
  return data.replace(/<!--.*?-->|<\?.*?\?>|<!\[CDATA\[(.*?)\]\]>|[^<]+/gs, (piece, cdata?: string) =>
    piece.startsWith('<') ? (cdata ?? '') : decodeReferences(piece),
  );
}

const attributePattern = /[ \t\r\n]+([^ \t\r\n=/>]+)[ \t\r\n]*=[ \t\r\n]*("[^"]*"|'[^']*')/y;

function readAttributes(element: XmlElement): ReadonlyMap<string, XmlAttribute> {
  const attributes = new Map<string, XmlAttribute>();
  attributePattern.lastIndex = element.span.start + 1 + element.name.length;
  for (;;) {
    const match = attributePattern.exec(element.source);
    if (match === null) return attributes;
    const [whole, name, quoted] = match as unknown as [string, string, string];
    const end = match.index + whole.length;
    attributes.set(name, {
      name,
      value: decodeReferences(quoted.slice(1, -1).replace(/\r\n|[\t\n\r]/g, ' ')),
      span: { start: end - whole.trimStart().length, end },
      valueSpan: { start: end - quoted.length + 1, end: end - 1 },
    });
  }
}
