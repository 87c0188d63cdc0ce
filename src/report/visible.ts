/**
 * What a terminal obeys instead of showing it, or shows nothing of: control characters, marks of direction, characters
 * without width, halves of a pair.
 */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** `text` with `\u202e` written out in place of each character that would not be seen. */
export function visible(text: string): string {
  return text.replace(unseen, escapeCharacter);
}

/** A value as JSON for a terminal, with a line end: what would not be seen is escaped within its strings. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return `${text.replace(unseen, character => (character === '\n' ? character : escapeCharacter(character)))}\n`;
}

function escapeCharacter(character: string): string {
  const short = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
  return short ?? character.split('').map(escapeUnit).join('');
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
