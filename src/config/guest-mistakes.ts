import { entryOf, itemsOf, type Located, type Mistake, mistakeAt, textOf } from './located.ts';

/** The list that says among what a guest may choose; without it there is nothing to choose. */
const needed = { bridge: 'bridges', network: 'networks', dev: 'devices', vfs: 'devices' } as const;

/** What guests are let choose among nothing. */
export function findUnboundedChoices(root: Located): Mistake[] {
  const guests = entryOf(root, 'guests');
  return [guests, ...itemsOf(entryOf(guests, 'rules'))].flatMap(policy =>
    itemsOf(entryOf(policy, 'allow')).flatMap(at => {
      const list = needed[textOf(at) as keyof typeof needed];
      if (list === undefined || itemsOf(entryOf(policy, list)).length > 0) return [];
      return mistakeAt(at, `guests may choose no ${textOf(at)}, as '${list}' names none`);
    }),
  );
}

/** Ranges that no VLAN is in. */
export function findEmptyRanges(root: Located): Mistake[] {
  const guests = entryOf(root, 'guests');
  return [guests, ...itemsOf(entryOf(guests, 'rules'))].flatMap(policy =>
    itemsOf(entryOf(policy, 'vlans')).flatMap(at => {
      const [first, last] = (textOf(at) ?? '').split('-').map(Number);
      return last !== undefined && first! > last ? mistakeAt(at, `no VLAN is in ${textOf(at)}`) : [];
    }),
  );
}
