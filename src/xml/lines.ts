const blockLength = 4096;

/** Tells in which line, counted from 1, a place of `text` is. All of the text is gone through at most once, at the first question. */
export function lineCounter(text: string): (index: number) => number {
  let before: Uint32Array | undefined;
  return index => {
    before ??= countBlocks(text);
    const block = Math.floor(index / blockLength);
    return 1 + before[block]! + countLineEnds(text, block * blockLength, index);
  };
}

/** How many lines have ended before each block. */
function countBlocks(text: string): Uint32Array {
  const before = new Uint32Array(Math.floor(text.length / blockLength) + 1);
  for (let block = 1; block < before.length; block++)
    before[block] = before[block - 1]! + countLineEnds(text, (block - 1) * blockLength, block * blockLength);
  return before;
}

/** CR LF is one. */
function countLineEnds(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === 10 || (code === 13 && text.charCodeAt(at + 1) !== 10)) count++;
  }
  return count;
}
