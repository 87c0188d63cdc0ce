import fs from 'node:fs';
import { ActualnetError } from '../../report/error.ts';
import { xmlLimits } from '../../xml/well-formed.ts';

/** All of stdin, at most as much as a document may have. The launcher's time limit ends a writer that never closes. */
export function readStdin(): Uint8Array {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    const length = readChunk(chunk);
    if (length === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, length));
    total += length;
    if (total > xmlLimits.whole) {
      throw new ActualnetError('XML_LIMIT', `line 1, column 1: a document larger than ${xmlLimits.whole} bytes`);
    }
  }
}

/** Writes all of `text`, however slowly the reader takes it. */
export function writeAll(fd: 1 | 2, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) {
    written += whenReady(() => fs.writeSync(fd, bytes, written));
  }
}

function readChunk(chunk: Buffer): number {
  try {
    return whenReady(() => fs.readSync(0, chunk));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EOF') return 0;
    throw new ActualnetError('FILE', `cannot read stdin: ${code ?? message}`, { cause });
  }
}

/** Pipes may be non-blocking, through Node itself or the other side: then wait a little and ask again. */
function whenReady(transfer: () => number): number {
  for (;;) {
    try {
      return transfer();
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EAGAIN') throw cause;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}
