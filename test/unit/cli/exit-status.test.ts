import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { exitStatusOf } from '../../../src/cli/exit-status.ts';
import { ActualnetError, errorCodes } from '../../../src/report/error.ts';

test('every code ends as docs/errors.md says', () => {
  const page = readFileSync(path.join(import.meta.dirname, '../../../docs/errors.md'), 'utf8');
  const failed = /1 for (.*?), and 3 for all others/s.exec(page)![1]!;
  const isFailure = (code: string) =>
    failed.includes(`\`${code}\``) || (code.startsWith('XML_') && failed.includes('`XML_*`'));
  for (const code of errorCodes)
    expect(exitStatusOf(new ActualnetError(code, 'x')), code).toBe(code === 'USAGE' ? 2 : isFailure(code) ? 1 : 3);
});
