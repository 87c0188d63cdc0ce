import { describe, expect, test } from 'vitest';
import { findSettings, matchesPattern } from '../../../src/config/match.ts';
import type { InterfaceMatch } from '../../../src/config/types.ts';

describe('a pattern', () => {
  test.each([
    { pattern: 'web1', text: 'web1', expected: true },
    { pattern: 'web1', text: 'web10', expected: false },
    { pattern: 'web', text: 'aweb', expected: false },
    { pattern: 'web*', text: 'web', expected: true },
    { pattern: 'web*', text: 'web10', expected: true },
    { pattern: 'web*', text: 'aweb1', expected: false },
    { pattern: '*web', text: 'aweb', expected: true },
    { pattern: '*web', text: 'web1', expected: false },
    { pattern: '*', text: '', expected: true },
    { pattern: '**', text: 'x', expected: true },
    { pattern: 'a*a', text: 'a', expected: false },
    { pattern: 'a*a', text: 'aa', expected: true },
    { pattern: 'a*b*c', text: 'a-c-b-c', expected: true },
    { pattern: 'a*b*c', text: 'acb', expected: false },
    { pattern: 'a*bc*bc', text: 'a-bc', expected: false },
    { pattern: 'w.b', text: 'web', expected: false },
    { pattern: 'a.*', text: 'ab', expected: false },
    { pattern: '[ab]+(c|d)$', text: '[ab]+(c|d)$', expected: true },
    { pattern: '\\*', text: '\\x', expected: true },
    { pattern: '?', text: 'x', expected: false },
    { pattern: 'a*', text: 'a\nb', expected: true },
    { pattern: 'Web', text: 'web', expected: false },
  ])('$pattern on $text: $expected', ({ pattern, text, expected }) => {
    expect(matchesPattern(pattern, text)).toBe(expected);
  });

  test('takes no time for many stars', () => {
    const before = process.cpuUsage();
    expect(matchesPattern('a*'.repeat(500).concat('b'), 'a'.repeat(100_000))).toBe(false);
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(1000);
  });
});

describe('settings', () => {
  const subject = { guest: 'web1', mac: '52:54:00:ab:00:01', network: 'lan', bridge: 'br0', tap: undefined };

  test.each<{ name: string; match: InterfaceMatch; expected: boolean }>([
    { name: 'nothing asked fits everything', match: {}, expected: true },
    { name: 'a guest', match: { guest: 'web*' }, expected: true },
    { name: 'a MAC address in upper case', match: { mac: '52:54:00:AB:*' }, expected: true },
    { name: 'a network', match: { network: 'lan' }, expected: true },
    { name: 'a bridge', match: { bridge: 'br?' }, expected: false },
    { name: 'everything must fit', match: { guest: 'web1', network: 'lan', bridge: 'br1' }, expected: false },
    { name: 'what is unknown never fits', match: { tap: '*' }, expected: false },
  ])('$name', ({ match, expected }) => {
    const found = findSettings({ interfaces: [{ match, settings: { mtu: 1400 } }] }, subject);
    expect(found).toEqual(expected ? { mtu: 1400 } : {});
  });

  test('come from the first rule that fits, and from no other', () => {
    const interfaces = [
      { match: { guest: 'db*' }, settings: { mtu: 1 } },
      { match: { guest: 'web1' }, settings: { vlan: [7] } },
      { match: {}, settings: { vlan: [8], isolated: true } },
    ];
    expect(findSettings({ interfaces }, subject)).toEqual({ vlan: [7] });
    expect(findSettings({ interfaces }, { guest: 'x' })).toEqual({ vlan: [8], isolated: true });
    expect(findSettings({ interfaces: [] }, subject)).toEqual({});
  });
});
