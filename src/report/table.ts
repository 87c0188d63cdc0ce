import Table from 'cli-table3';
import { printable } from './error.ts';

/** A plain table for a terminal: a heading line, columns apart by two spaces, no borders. Whatever cells hold is made visible. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const none = Object.fromEntries(
    ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
      .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'])
      .map(side => [side, '']),
  );
  const table = new Table({
    chars: { ...none, middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  table.push([...head], ...rows.map(row => row.map(printable)));
  const text = table.toString();
  return text
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n');
}
