import { printable } from '../report/error.ts';

const maxRefusals = 32;
const maxLength = 400;
/** Each costs a look at a value and an error: a document with more wrong ones is not worth its time. */
const enough = 1000;

/** What is refused of one guest's document: so many lines, of such a length, that no document can fill a record or a log with them. */
export class Refusals {
  readonly #lines: string[] = [];
  #more = 0;

  /** `line` is only put together if there is room for it. */
  add(line: () => string): void {
    if (this.#lines.length === maxRefusals) this.#more++;
    else this.#lines.push(cut(line()));
  }

  /** Nothing more of the document is to be read. */
  get areEnough(): boolean {
    return this.#lines.length + this.#more >= enough;
  }

  lines(): string[] {
    return this.#more === 0 ? this.#lines : [...this.#lines, `and ${this.#more} more are refused`];
  }
}

function cut(text: string): string {
  const line = printable(text.slice(0, maxLength));
  return text.length <= maxLength ? line : `${line}...`;
}
