import fs from 'node:fs';
import { ActualnetError } from '../report/error.ts';
import { xmlLimits } from '../xml/well-formed.ts';

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
    if (total > xmlLimits.bytes) {
      throw new ActualnetError('XML_LIMIT', `line 1, column 1: a document larger than ${xmlLimits.bytes} bytes`);
    }
  }
}

function readChunk(chunk: Buffer): number {
  for (;;) {
    try {
      return fs.readSync(0, chunk);
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw new ActualnetError('FILE', `cannot read stdin: ${code ?? message}`, { cause });
      // Somebody made the pipe non-blocking: wait a little, then ask again.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}
