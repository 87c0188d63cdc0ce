import { ActualnetError, type ErrorCode } from '../report/error.ts';
import type { Span } from './span.ts';

/**
 * What a document may cost before it is refused. Sizes are in bytes or, inside a document, in UTF-16 units. What is foreign in
 * its `<metadata>` counts only towards the size of the whole.
 */
export const xmlLimits = {
  /** 4 MiB is what libvirt takes of a caller; indented as libvirt writes it, that can become many times as much. */
  whole: 64 * 1024 * 1024,
  bytes: 8 * 1024 * 1024,
  depth: 200,
  elements: 100_000,
  /** One tag; the longest that libvirt writes are a few hundred characters, a QEMU argument may be a few thousand. */
  tag: 128 * 1024,
} as const;

/** An element as it stands in the text, before anybody has read its attributes or text. */
export interface Node {
  readonly name: string;
  readonly span: Span;
  readonly children: readonly Node[];
}

/** `line L, column C` of a place in `text`, both counted from 1. */
export function describePosition(text: string, index: number): string {
  let line = 1;
  let lineStart = text.startsWith('\ufeff') ? 1 : 0;
  const lineEnd = /\r\n?|\n/g;
  for (let match = lineEnd.exec(text); match !== null && lineEnd.lastIndex <= index; match = lineEnd.exec(text)) {
    line++;
    lineStart = lineEnd.lastIndex;
  }
  return `line ${line}, column ${index - lineStart + 1}`;
}

const blank = '[ \\t\\r\\n]';
// Without U+FEFF, which XML allows in names but JavaScript takes for a blank, and without the planes above U+FFFF.
const nameStart =
  ':A-Z_a-z\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u02ff\\u0370-\\u037d\\u037f-\\u1fff\\u200c\\u200d\\u2070-\\u218f\\u2c00-\\u2fef\\u3001-\\ud7ff\\uf900-\\ufdcf\\ufdf0-\\ufefe\\uff00-\\ufffd';
const name = `[${nameStart}][${nameStart}.0-9\\u00b7\\u0300-\\u036f\\u203f\\u2040-]*`;
const attribute = (names: string, values = `(?:"[^<"]*"|'[^<']*')`) => `${blank}+${names}${blank}*=${blank}*${values}`;
const tagPattern = new RegExp(`^<(?:/${name}${blank}*|${name}(?:${attribute(name)})*${blank}*/?)>`);
const instructionPattern = new RegExp(`^<\\?(?!xml(?:[?]|${blank}))${name}(?:${blank}|\\?>)`, 'i');
const declarationPattern = new RegExp(
  `^<\\?xml${attribute('version', `(?:"1\\.\\d+"|'1\\.\\d+')`)}(?:${attribute('encoding', `(?:"[\\w.-]+"|'[\\w.-]+')`)})?` +
    `(?:${attribute('standalone', `(?:"(?:yes|no)"|'(?:yes|no)')`)})?${blank}*\\?>`,
);

const tagName = /^<\/?([^ \t\r\n/>]+)/;
const attributeName = new RegExp(attribute(`(${name})`), 'g');

interface OpenNode extends Node {
  readonly span: { readonly start: number; end: number };
  readonly children: OpenNode[];
}

/**
 * Reads `text` once: refuses it, with line and column, unless it is one well-formed XML document within `xmlLimits`, and
 * answers its elements, without those in `foreign`, of which it is known that they are well nested. A DOCTYPE is refused, too.
 */
export function readElements(text: string, foreign: readonly Span[] = []): Node {
  const illegal = text.search(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u);
  if (illegal !== -1) fail(text, illegal, 'a character that XML does not allow');
  const open: OpenNode[] = [];
  let root: OpenNode | undefined;
  let elements = 0;
  let passed = 0;
  const start = text.startsWith('\ufeff') ? 1 : 0;
  for (let at = start; at < text.length; ) {
    const next = text.indexOf('<', at);
    const markup = next === -1 ? text.length : next;
    checkCharacterData(text, at, markup, open.length > 0);
    if (next === -1) break;
    if (foreign[passed]?.start === markup) {
      at = foreign[passed++]!.end;
      continue;
    }
    at = endOfMarkup(text, markup, { isFirst: markup === start, isInside: open.length > 0 });
    if (text[markup + 1] === '!' || text[markup + 1] === '?') continue;
    checkReferences(text, markup, at);
    const tag = text.slice(markup, at);
    const name = tagName.exec(tag)![1]!;
    if (tag[1] === '/') {
      close(text, markup, { name, end: at, opened: open.pop() });
      continue;
    }
    checkAttributes(text, markup, tag);
    if (open.length === 0 && root !== undefined) fail(text, markup, 'a second root element');
    if (++elements > xmlLimits.elements) fail(text, markup, `more than ${xmlLimits.elements} elements`, 'XML_LIMIT');
    if (open.length >= xmlLimits.depth) fail(text, markup, `more than ${xmlLimits.depth} levels`, 'XML_LIMIT');
    const node: OpenNode = { name, span: { start: markup, end: at }, children: [] };
    open.at(-1)?.children.push(node);
    root ??= node;
    if (text[at - 2] !== '/') open.push(node);
  }
  const unclosed = open.pop();
  if (unclosed !== undefined) {
    const why = 'the document is cut off or a tag is missing';
    fail(text, unclosed.span.start, `<${unclosed.name}> is not closed: ${why}`);
  }
  if (root === undefined) fail(text, text.length, 'no root element: the document is empty');
  return root;
}

function close(
  text: string,
  at: number,
  { name, end, opened }: { readonly name: string; readonly end: number; readonly opened: OpenNode | undefined },
): void {
  if (opened === undefined) fail(text, at, `</${name}> closes nothing`);
  if (opened.name !== name) {
    const where = describePosition(text, opened.span.start);
    fail(text, at, `</${name}> where <${opened.name}> of ${where} has to be closed`);
  }
  opened.span.end = end;
}

function checkAttributes(text: string, at: number, tag: string): void {
  const names = new Set<string>();
  for (const { 0: whole, 1: attribute, index } of tag.matchAll(attributeName)) {
    const isNew = names.size < names.add(attribute!).size;
    if (!isNew) fail(text, at + index + whole.search(/[^ \t\r\n]/), `attribute '${attribute}' is there twice`);
  }
}

/** The index after the tag, comment, CDATA section or instruction that starts at `at`. */
function endOfMarkup(text: string, at: number, { isFirst, isInside }: { isFirst: boolean; isInside: boolean }): number {
  if (text.startsWith('<!--', at)) {
    const dashes = text.indexOf('--', at + 4);
    if (dashes === -1) fail(text, at, 'a comment that does not end');
    if (text[dashes + 2] !== '>') fail(text, dashes, "'--' inside a comment");
    return dashes + 3;
  }
  if (text.startsWith('<![CDATA[', at)) {
    if (!isInside) fail(text, at, 'text outside the root element');
    return afterTerminator(text, at, { from: at + 9, terminator: ']]>', what: 'CDATA section' });
  }
  if (text.startsWith('<?', at)) {
    const head = text.slice(at, at + 1000);
    if (!(isFirst && declarationPattern.test(head)) && !instructionPattern.test(head)) {
      fail(
        text,
        at,
        /^<\?xml/i.test(head)
          ? 'an XML declaration that is wrong or not at the start'
          : 'a wrong processing instruction',
      );
    }
    return afterTerminator(text, at, { from: at + 2, terminator: '?>', what: 'processing instruction' });
  }
  if (text.startsWith('<!', at)) {
    fail(text, at, text.startsWith('<!DOCTYPE', at) ? 'a DOCTYPE, which is not accepted' : 'unknown markup');
  }
  const candidate = text.slice(at, at + xmlLimits.tag);
  const tag = tagPattern.exec(candidate);
  if (tag !== null) return at + tag[0].length;
  if (candidate.length === xmlLimits.tag && !candidate.includes('<', 1)) {
    fail(text, at, `a tag longer than ${xmlLimits.tag} characters`, 'XML_LIMIT');
  }
  fail(text, at, 'a tag that does not end, or is not one');
}

function afterTerminator(text: string, at: number, look: { from: number; terminator: string; what: string }): number {
  const end = text.indexOf(look.terminator, look.from);
  if (end === -1) fail(text, at, `a ${look.what} that does not end`);
  return end + look.terminator.length;
}

function checkCharacterData(text: string, from: number, to: number, insideRoot: boolean): void {
  if (from === to) return;
  const data = text.slice(from, to);
  if (!insideRoot) {
    const stray = data.search(/[^ \t\r\n]/);
    if (stray !== -1) fail(text, from + stray, 'text outside the root element');
    return;
  }
  const terminator = data.indexOf(']]>');
  if (terminator !== -1) fail(text, from + terminator, "']]>' outside a CDATA section");
  checkReferences(text, from, to);
}

const reference = /&(?:lt|gt|amp|quot|apos|#(\d{1,20})|#x([0-9a-fA-F]{1,20}));/y;

function checkReferences(text: string, from: number, to: number): void {
  const piece = text.slice(from, to);
  for (let at = piece.indexOf('&'); at !== -1; at = piece.indexOf('&', at + 1)) {
    reference.lastIndex = at;
    const match = reference.exec(piece);
    if (match === null) fail(text, from + at, "'&' that is not one of the five entities of XML or a character number");
    const [, decimal, hex] = match;
    const code = decimal !== undefined ? Number(decimal) : hex !== undefined ? Number.parseInt(hex, 16) : 0x20;
    if (!isXmlCharacter(code)) fail(text, from + at, 'a character number that XML does not allow');
  }
}

function isXmlCharacter(code: number): boolean {
  if (code < 0x20) return code === 0x9 || code === 0xa || code === 0xd;
  return code <= 0xd7ff || (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff);
}

function fail(text: string, index: number, what: string, code: ErrorCode = 'XML_SYNTAX'): never {
  throw new ActualnetError(code, `${describePosition(text, index)}: ${what}`);
}
