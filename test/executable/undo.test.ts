import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { guestUuid } from '../helpers/documents.ts';
import { TestHost } from '../helpers/host.ts';

let host: TestHost;
beforeEach(() => {
  host = new TestHost();
});
afterEach(() => host.remove());

const inState = (...parts: string[]) => path.join(host.root, 'run/actualnet', ...parts);
/** A ledger of ours that says that a link, which is gone by now, was brought up. */
function writeLedger(file: string): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const intend = { subject: { kind: 'up', dev: 'gone0' }, before: false, to: true };
  writeFileSync(file, `${JSON.stringify({ at: '2026-01-01T00:00:00.000Z', intend })}\n`, { mode: 0o600 });
}

test.each([[[]], [['--force']]])('a ledger that cannot be read keeps nothing else from being undone: %j', words => {
  writeLedger(inState('ledgers', `${guestUuid}.jsonl`));
  mkdirSync(inState('shared', 'br9.jsonl'), { recursive: true, mode: 0o700 });
  const { status, stdout } = host.cli(['undo', ...words]);
  expect(status).toBe(1);
  expect(stdout).toMatch(/^guest .* undone and forgotten$/m);
  expect(stdout).toMatch(/^still applied: .*br9\.jsonl' is not a regular file$/m);
  expect(existsSync(inState('ledgers', `${guestUuid}.jsonl`))).toBe(false);
  expect(existsSync(inState('shared', 'br9.jsonl'))).toBe(true);
});
