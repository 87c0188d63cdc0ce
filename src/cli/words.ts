/*
 * yargs makes an empty word of a lone dash, and keeps what stands behind `--` from commands. There a word that begins with a
 * dash is one like others, such as a guest's name: a character that no word can hold marks it until the command has it.
 */
const mark = '\0';

/** The words of a command line as yargs is to see them, with another word for a lone dash. */
export function wordsFor(given: readonly string[], dash: string): string[] {
  const end = given.indexOf('--');
  const [before, behind] = end < 0 ? [given, []] : [given.slice(0, end), given.slice(end + 1)];
  const withoutDash = (word: string) => (word === '-' ? dash : word);
  return [
    ...before.map(withoutDash),
    ...behind.map(withoutDash).map(word => (word.startsWith('-') ? `${mark}${word}` : word)),
  ];
}

/** A word, or what is said of it, as it was given. */
export function unmarked(text: string): string {
  return text.replaceAll(mark, '');
}

/** The same for all that yargs has made of the words. */
export function unmark(argv: Record<string, unknown>): void {
  const plain = (value: unknown) => (typeof value === 'string' ? unmarked(value) : value);
  for (const [key, value] of Object.entries(argv)) argv[key] = Array.isArray(value) ? value.map(plain) : plain(value);
}
