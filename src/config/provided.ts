import { entriesOf, entryOf, itemsOf, type Located, type Mistake, mistakeAt, numberOf, textOf } from './located.ts';

const kinds = ['bridges', 'vlans', 'vfs'] as const;
type Kind = (typeof kinds)[number];

/** A link of `provide`, and the links that it stands on. */
interface Part {
  readonly kind: Kind;
  readonly name: string;
  readonly at: Located;
  readonly below: readonly Located[];
}

/** What is wrong between the links of `provide`: names given twice, loops, a link in two bridges, one VLAN twice. */
export function findProvideMistakes(root: Located): Mistake[] {
  const provide = entryOf(root, 'provide');
  const parts = kinds.flatMap(kind =>
    entriesOf(entryOf(provide, kind)).map(([name, at]): Part => ({ kind, name, at, below: belowOf(kind, at) })),
  );
  const byName = new Map<string, Part>();
  const twice: Mistake[] = [];
  for (const part of parts) {
    const first = byName.get(part.name);
    if (first === undefined) byName.set(part.name, part);
    else twice.push(mistakeAt(part.at, `'${part.name}' is the name of one of provide.${first.kind}, too`));
  }
  return [
    ...twice,
    ...[...byName.values()].flatMap(part => findLoops(part, byName)),
    ...findSharedPorts(parts),
    ...findSameVlans(parts),
  ];
}

function belowOf(kind: Kind, at: Located): Located[] {
  if (kind === 'bridges') return [...itemsOf(entryOf(at, 'ports'))];
  const link = kind === 'vlans' ? entryOf(at, 'link') : undefined;
  return link === undefined ? [] : [link];
}

function findLoops(part: Part, byName: ReadonlyMap<string, Part>): Mistake[] {
  return part.below.flatMap(at => {
    const name = textOf(at) ?? '';
    if (name === part.name) return mistakeAt(at, `'${name}' stands on itself`);
    if (standsOn(name, part.name, byName)) return mistakeAt(at, `'${name}' stands on '${part.name}' itself: a loop`);
    // The kernel refuses it (br_add_if).
    const isBridge = byName.get(name)?.kind === 'bridges';
    return part.kind === 'bridges' && isBridge ? mistakeAt(at, `'${name}' is a bridge, and no port of another`) : [];
  });
}

function standsOn(name: string, wanted: string, byName: ReadonlyMap<string, Part>): boolean {
  const seen = new Set([name]);
  for (const each of seen) {
    if (each === wanted) return true;
    for (const below of byName.get(each)?.below ?? []) seen.add(textOf(below) ?? '');
  }
  return false;
}

function findSharedPorts(parts: readonly Part[]): Mistake[] {
  const bridges = new Map<string, string>();
  return parts
    .filter(({ kind }) => kind === 'bridges')
    .flatMap(({ name, below }) =>
      below.flatMap(at => {
        const port = textOf(at) ?? '';
        const first = bridges.get(port);
        if (first === undefined) bridges.set(port, name);
        return first === undefined || first === name ? [] : mistakeAt(at, `'${port}' is a port of '${first}' already`);
      }),
    );
}

function findSameVlans(parts: readonly Part[]): Mistake[] {
  const names = new Map<string, string>();
  return parts
    .filter(({ kind }) => kind === 'vlans')
    .flatMap(({ name, at }) => {
      const link = textOf(entryOf(at, 'link'));
      const id = numberOf(entryOf(at, 'id'));
      if (link === undefined || id === undefined) return [];
      const first = names.get(`${id} ${link}`);
      names.set(`${id} ${link}`, first ?? name);
      return first === undefined ? [] : mistakeAt(at, `VLAN ${id} of '${link}' is '${first}' already`);
    });
}
