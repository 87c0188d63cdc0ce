import { XMLValidator } from 'fast-xml-parser';
import { ActualnetError, type ErrorCode } from '../report/error.ts';

/** What a document may cost before it is refused. Sizes are in bytes or, inside a document, in UTF-16 units. */
export const xmlLimits = {
  bytes: 8 * 1024 * 1024,
  depth: 200,
  elements: 100_000,
  /** One tag; the longest that libvirt writes are a few hundred characters, a QEMU argument may be a few thousand. */
  tag: 128 * 1024,
  /** One run of text between tags. */
  text: 512 * 1024,
} as const;

/**
 * Refuses `text` unless it is one well-formed XML document within `xmlLimits`, with line and column.
 *
 * fast-xml-parser's validator checks names, attributes and matching tags. It lets through a second root that closes
 * itself, a document cut off inside a tag or comment, unknown entities, `<` in attribute values and every DOCTYPE,
 * so the markup is walked once before it gets the text.
 */
export function checkWellFormed(text: string): void {
  walkMarkup(text);
  const verdict = XMLValidator.validate(text);
  if (verdict !== true) {
    throw new ActualnetError(
      'XML_SYNTAX',
      `line ${verdict.err.line}, column ${verdict.err.col ?? 1}: ${verdict.err.msg}`,
    );
  }
}

/** `line L, column C` of a place in `text`, both counted from 1. */
export function describePosition(text: string, index: number): string {
  const lines = text.slice(text.startsWith('\ufeff') ? 1 : 0, index).split(/\r\n|\r|\n/);
  return `line ${lines.length}, column ${lines[lines.length - 1]!.length + 1}`;
}

function walkMarkup(text: string): void {
  const illegal = text.search(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u);
  if (illegal !== -1) fail(text, illegal, 'a character that XML does not allow');

  const openTags: number[] = [];
  let elements = 0;
  let at = text.startsWith('\ufeff') ? 1 : 0;
  const start = at;
  while (at < text.length) {
    const next = text.indexOf('<', at);
    const markup = next === -1 ? text.length : next;
    checkCharacterData(text, at, markup, openTags.length > 0);
    if (next === -1) break;
    at = endOfMarkup(text, markup, markup === start);
    if (at - markup > xmlLimits.tag && text[markup + 1] !== '!') {
      fail(text, markup, `a tag longer than ${xmlLimits.tag} characters`, 'XML_LIMIT');
    }
    if (text[markup + 1] === '!' || text[markup + 1] === '?') {
      if (openTags.length === 0 && text.startsWith('<![', markup)) fail(text, markup, 'text outside the root element');
      continue;
    }
    checkReferences(text, markup, at);
    if (text[markup + 1] === '/') {
      if (openTags.pop() === undefined) fail(text, markup, 'a closing tag without an opening one');
      continue;
    }
    if (openTags.length === 0 && elements > 0) fail(text, markup, 'a second root element');
    if (++elements > xmlLimits.elements) fail(text, markup, `more than ${xmlLimits.elements} elements`, 'XML_LIMIT');
    if (openTags.length >= xmlLimits.depth) fail(text, markup, `more than ${xmlLimits.depth} levels`, 'XML_LIMIT');
    if (text[at - 2] !== '/') openTags.push(markup);
  }
  const unclosed = openTags.pop();
  if (unclosed !== undefined)
    fail(text, unclosed, 'this element is not closed: the document is cut off or a tag is missing');
  if (elements === 0) fail(text, text.length, 'no root element: the document is empty');
}

// Quotes may hold '>' but not '<'. The pieces cannot match the same text in two ways, so this stays linear.
const tag = /<\/?[^<>"'!?/\s][^<>"']*(?:(?:"[^<"]*"|'[^<']*')[^<>"']*)*>/y;

/** The index after the tag, comment, CDATA section or processing instruction that starts at `at`. */
function endOfMarkup(text: string, at: number, first: boolean): number {
  if (text.startsWith('<!--', at)) {
    const dashes = text.indexOf('--', at + 4);
    if (dashes === -1) fail(text, at, 'a comment that does not end');
    if (text[dashes + 2] !== '>') fail(text, dashes, "'--' inside a comment");
    return dashes + 3;
  }
  if (text.startsWith('<![CDATA[', at))
    return afterTerminator(text, at, { from: at + 9, terminator: ']]>', what: 'CDATA section' });
  if (text.startsWith('<?', at)) {
    if (/^xml[\s?]/i.test(text.slice(at + 2, at + 6)) && !first)
      fail(text, at, 'an XML declaration that is not at the start');
    return afterTerminator(text, at, { from: at + 2, terminator: '?>', what: 'processing instruction' });
  }
  if (text.startsWith('<!', at)) {
    fail(text, at, text.startsWith('<!DOCTYPE', at) ? 'a DOCTYPE, which is not accepted' : 'unknown markup');
  }
  tag.lastIndex = at;
  if (!tag.test(text)) fail(text, at, 'a tag that does not end, or is not one');
  return tag.lastIndex;
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
  if (data.length > xmlLimits.text) fail(text, from, `text longer than ${xmlLimits.text} characters`, 'XML_LIMIT');
  const terminator = data.indexOf(']]>');
  if (terminator !== -1) fail(text, from + terminator, "']]>' outside a CDATA section");
  checkReferences(text, from, to);
}

const reference = /&(?:lt|gt|amp|quot|apos|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));/y;

function checkReferences(text: string, from: number, to: number): void {
  const piece = text.slice(from, to);
  for (let at = piece.indexOf('&'); at !== -1; at = piece.indexOf('&', at + 1)) {
    reference.lastIndex = at;
    const match = reference.exec(piece);
    if (match === null) fail(text, from + at, "'&' that is not one of the five entities of XML or a character number");
    const code =
      match[1] !== undefined ? Number(match[1]) : match[2] !== undefined ? Number.parseInt(match[2], 16) : 0x20;
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
