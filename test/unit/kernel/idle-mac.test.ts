import { expect, test } from 'vitest';
import type { PciDevice } from '../../../src/kernel/host-view.ts';
import { idleMac } from '../../../src/kernel/idle-mac.ts';
import type { PciAddress } from '../../../src/model/pci-address.ts';
import { hostView, link } from '../../helpers/host-view.ts';

/** A host with PFs `pf0`, `pf1`, ..., each with the given MAC and VFs. */
function hostWith(cards: readonly { readonly mac: string; readonly vfs: readonly string[] }[]) {
  const pf = (n: number) => `0000:0${n}:00.0` as PciAddress;
  return hostView(
    cards.map(({ mac }, n) => link(`pf${n}`, { mac, pci: pf(n) })),
    {
      pci: address => ({ vfs: cards[cards.findIndex((_, n) => pf(n) === address)]?.vfs ?? [] }) as unknown as PciDevice,
    },
  );
}

const bus = (domain: string, number: number, count: number) =>
  Array.from({ length: count }, (_, n) => {
    const place = n + 8;
    const at = number + (place >> 8);
    return `${domain}:${at.toString(16).padStart(2, '0')}:${((place >> 3) & 31).toString(16).padStart(2, '0')}.${place & 7}`;
  });

test.each<[string, string, readonly string[], string[]]>([
  [
    'of the first domain',
    'b4:96:91:12:34:56',
    ['0000:5e:02.0', '0000:5e:02.1'],
    ['02:12:34:56:5e:10', '02:12:34:56:5e:11'],
  ],
  ['of another domain', 'b4:96:91:12:34:56', ['0003:5e:02.0'], ['0e:12:34:56:5e:10']],
  ['of the last bus', 'b4:96:91:ff:ff:ff', ['0000:ff:1f.7'], ['02:ff:ff:ff:ff:ff']],
])('a VF %s', (_, mac, vfs, expected) => {
  const host = hostWith([{ mac, vfs }]);
  expect(vfs.map((_vf, number) => idleMac('pf0', number, host))).toEqual(expected);
});

test('is locally administered, nobody else has it, and it is always the same', () => {
  // Two cards of a bond have one MAC, and cards in other sockets the same buses in another domain.
  const cards = [
    { mac: '02:11:22:33:44:55', vfs: bus('0000', 0x5e, 256) },
    { mac: '02:11:22:33:44:55', vfs: bus('0000', 0x70, 256) },
    { mac: '02:11:22:33:44:55', vfs: bus('0001', 0x5e, 256) },
    { mac: 'b4:96:91:33:44:55', vfs: bus('0002', 0x5e, 128) },
  ];
  const all = () => cards.flatMap(({ vfs }, n) => vfs.map((_, vf) => idleMac(`pf${n}`, vf, hostWith(cards))));
  const macs = all();
  expect(new Set(macs).size).toBe(macs.length);
  for (const mac of macs) expect(mac).toMatch(/^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
  expect(all()).toEqual(macs);
});

test('a PF that is gone has none to give, and nobody falls over it', () => {
  expect(idleMac('pf9', 3, hostView([]))).toBe('02:00:00:00:00:03');
});
