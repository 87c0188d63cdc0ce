import { ActualnetError } from '../report/error.ts';
import { parseXml, type XmlDocument } from './document.ts';
import type { Span } from './span.ts';

/** Replaces a piece of the source text; an empty span inserts. */
export interface XmlEdit {
  readonly at: Span;
  readonly text: string;
  readonly why: string;
}

/**
 * The document after `edits`; every byte outside them stays. Edits may come in any order but must not overlap; several
 * insertions at one place keep their order. The result is parsed again before it is returned.
 */
export function applyEdits(document: XmlDocument, edits: readonly XmlEdit[]): XmlDocument {
  if (edits.length === 0) return document;
  const inOrder = edits
    .map((edit, index) => ({ edit, index }))
    .sort((a, b) => a.edit.at.start - b.edit.at.start || a.edit.at.end - b.edit.at.end || a.index - b.index);
  let text = '';
  let copied = 0;
  for (const { edit } of inOrder) {
    if (edit.at.start < copied || edit.at.end < edit.at.start || edit.at.end > document.text.length) {
      throw new ActualnetError('BUG', `edits overlap or leave the document (${edit.why})`);
    }
    text += document.text.slice(copied, edit.at.start) + edit.text;
    copied = edit.at.end;
  }
  return parseXml(text + document.text.slice(copied));
}
