import type { Span } from './span.ts';

/*
 * libvirt lets anybody who may change a guest keep anything he likes below its <metadata>: what is not ours there is left
 * out before anything is read. This pass is linear in the text, whatever is in there, and knows no other limit.
 */

/** An element that was met on a walk: the names from the root down to it, and where its start tag is. */
export interface Met {
  readonly path: readonly string[];
  readonly tag: Span;
}

/** `enter` goes on with the children; the others pass over the whole element. */
export interface Walk {
  readonly enters: (met: Met) => boolean;
  /** An element that was passed over, from its '<' to behind its end tag. */
  readonly passed?: (met: Met, span: Span) => void;
  /** The end tag of one that was entered. */
  readonly left?: (met: Met) => void;
}

/**
 * Meets the elements of a document in their order, without building anything: comments, CDATA sections, instructions and quoted
 * values are known for what they are, and end tags must fit. Answers false where the text is no well-nested document;
 * what was met before that was there.
 */
export function walkElements(text: string, { enters, passed, left }: Walk): boolean {
  const path: string[] = [];
  for (let at = text.indexOf('<'); at !== -1; at = text.indexOf('<', at)) {
    const end = endOfMarkup(text, at);
    if (end === -1) return false;
    const second = text.charCodeAt(at + 1);
    if (second === slash) {
      const name = path.at(-1);
      if (name === undefined || !isEndTagOf(name, text, at)) return false;
      left?.({ path, tag: { start: at, end } });
      path.pop();
    } else if (second !== exclamationMark && second !== questionMark) {
      path.push(text.slice(at + 1, endOfName(text, at + 1)));
      const met = { path, tag: { start: at, end } };
      if (!enters(met)) {
        const behind = endOfElement(text, at);
        if (behind === -1) return false;
        passed?.(met, { start: at, end: behind });
        path.pop();
        at = behind;
        continue;
      }
      if (isClosed(text, end)) path.pop();
    }
    at = end;
  }
  return path.length === 0;
}

/** More requests than any guest has interfaces. */
export const maxOwnMetadata = 4096;
const maxOwnTag = 16 * 1024;

/** A piece of the text with elements, and whatever else is between two tags of ours. */
export interface Foreign extends Span {
  readonly elements: number;
}

/**
 * What is foreign in a domain's or network's `<metadata>`, alone or in what libvirt puts around it. Ours are `<interfaces>`, in
 * whatever namespace, and each `<interface>` in it: at most `maxOwnMetadata` of them, with tags of a sound length.
 */
export function findForeign(text: string): Foreign[] {
  const found: Foreign[] = [];
  let own = 0;
  let ownEnd = 0;
  let elements = 0;
  const closeGap = (end: number) => {
    const start = text.indexOf('<', ownEnd);
    if (start < end) found.push({ start, end, elements });
    elements = 0;
  };
  const isOwn = ({ path, tag }: Met, level: number) => {
    if (tag.end - tag.start > maxOwnTag) return false;
    if (level === 0) return true;
    return level <= 2 && localName(path.at(-1)!) === ['interfaces', 'interface'][level - 1] && ++own <= maxOwnMetadata;
  };
  walkElements(text, {
    enters(met) {
      const level = levelInMetadata(met);
      if (level === undefined) return met.path.length <= 2;
      if (!isOwn(met, level)) return false;
      if (level > 0) closeGap(met.tag.start);
      ownEnd = met.tag.end;
      return true;
    },
    passed(met, span) {
      const level = levelInMetadata(met);
      if (level === 0) found.push({ ...span, elements: 1 });
      else if (level !== undefined) elements++;
    },
    left(met) {
      if (levelInMetadata(met) === undefined) return;
      closeGap(met.tag.start);
      ownEnd = met.tag.end;
    },
  });
  return found;
}

/** 0 for `<metadata>` itself, more for what is inside, undefined elsewhere. */
function levelInMetadata({ path }: Met): number | undefined {
  const place = path[0] === 'domain' || path[0] === 'network' ? 1 : 2;
  const isInside = path[place] === 'metadata' && ['domain', 'network'].includes(path[place - 1]!);
  return isInside ? path.length - 1 - place : undefined;
}

/** `text` without those pieces. */
export function withoutSpans(text: string, spans: readonly Span[]): string {
  const pieces: string[] = [];
  let at = 0;
  for (const { start, end } of spans) {
    pieces.push(text.slice(at, start));
    at = end;
  }
  return pieces.join('') + text.slice(at);
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

const [tab, lineFeed, carriageReturn, space] = [9, 10, 13, 32];
const [exclamationMark, doubleQuote, singleQuote, slash, less, greater, questionMark] = [33, 34, 39, 47, 60, 62, 63];

/** The index behind the end tag of the element at `at`, or -1 if it does not end. */
function endOfElement(text: string, at: number): number {
  const open: number[] = [];
  do {
    const end = endOfMarkup(text, at);
    if (end === -1) return -1;
    const second = text.charCodeAt(at + 1);
    if (second === slash) {
      const start = open.pop();
      if (start === undefined || !isEndTagOf(text.slice(start + 1, endOfName(text, start + 1)), text, at)) return -1;
    } else if (second !== exclamationMark && second !== questionMark && !isClosed(text, end)) {
      open.push(at);
    }
    if (open.length === 0) return end;
    at = text.indexOf('<', end);
  } while (at !== -1);
  return -1;
}

/** The index behind the tag, comment, CDATA section or instruction at `at`, or -1 if it does not end, or is none of these. */
function endOfMarkup(text: string, at: number): number {
  switch (text.charCodeAt(at + 1)) {
    case exclamationMark:
      if (text.startsWith('<!--', at)) return behind(text, '-->', at + 4);
      return text.startsWith('<![CDATA[', at) ? behind(text, ']]>', at + 9) : -1;
    case questionMark:
      return behind(text, '?>', at + 2);
    default:
      return endOfTag(text, at);
  }
}

function behind(text: string, terminator: string, from: number): number {
  const index = text.indexOf(terminator, from);
  return index === -1 ? -1 : index + terminator.length;
}

function endOfTag(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === greater) return at + 1;
    if (code === less) return -1;
    if (code === doubleQuote || code === singleQuote) {
      at = text.indexOf(code === doubleQuote ? '"' : "'", at + 1);
      if (at === -1) return -1;
    }
  }
  return -1;
}

function isClosed(text: string, tagEnd: number): boolean {
  return text.charCodeAt(tagEnd - 2) === slash;
}

function isEndTagOf(name: string, text: string, at: number): boolean {
  return text.startsWith(name, at + 2) && endOfName(text, at + 2) === at + 2 + name.length;
}

function endOfName(text: string, from: number): number {
  for (let at = from; ; at++) {
    const code = text.charCodeAt(at);
    const isName =
      code !== space &&
      code !== lineFeed &&
      code !== tab &&
      code !== carriageReturn &&
      code !== slash &&
      code !== greater;
    if (!isName || at >= text.length) return at;
  }
}
