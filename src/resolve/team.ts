import type { Domain } from '../model/domain.ts';
import { isVirtio } from '../model/interface.ts';

interface Member {
  readonly name: string;
  readonly type: 'persistent' | 'transient';
  readonly alias: string | undefined;
  /** Undefined for a plain host device, whose address nobody knows here. */
  readonly mac: string | undefined;
  /** The alias that a transient member names. */
  readonly persistent: string | undefined;
}

/**
 * What is wrong with a guest's failover pairs (`<teaming>`), one line each. libvirt looks at each member by itself, QEMU starts
 * with a member that is alone, and the guest's driver joins those with the same MAC: nobody says a word.
 */
export function findTeamFaults({ interfaces, hostdevs }: Domain): string[] {
  const members: Member[] = [
    ...interfaces.flatMap(({ teaming, alias, mac, index }) =>
      teaming ? { ...teaming, name: `interface ${mac ?? index}`, alias, mac, persistent: teaming.persistent } : [],
    ),
    ...hostdevs.flatMap(({ teaming, alias, address }, index) =>
      teaming
        ? { ...teaming, name: `host device ${address ?? index}`, alias, mac: undefined, persistent: teaming.persistent }
        : [],
    ),
  ];
  const transient = members.filter(({ type }) => type === 'transient');
  return members.flatMap(member => {
    const { name, alias, type } = member;
    if (type === 'persistent') {
      const partners = transient.filter(({ persistent }) => alias !== undefined && persistent === alias);
      if (alias === undefined)
        return [`${name}: as the persistent member of a team it needs an alias of its own, 'ua-...'`];
      if (partners.length === 1) return [];
      return [
        partners.length === 0
          ? `${name}: no transient member of a team names '${alias}', so it is alone`
          : `${name}: ${partners.length} transient members name '${alias}', and QEMU joins one`,
      ];
    }
    return faultsOfTransient(member, { members, interfaces });
  });
}

function faultsOfTransient(
  { name, mac, persistent }: Member,
  { members, interfaces }: { members: readonly Member[]; interfaces: Domain['interfaces'] },
): string[] {
  const partner = members.find(({ alias }) => alias === persistent);
  if (partner === undefined || partner.type !== 'persistent') {
    const is = interfaces.some(({ alias }) => alias === persistent)
      ? 'is no persistent member of a team'
      : 'is not there';
    return [`${name}: '${persistent}', the persistent member that it names, ${is}`];
  }
  const { model } = interfaces.find(({ alias }) => alias === persistent) ?? {};
  return [
    ...(model !== undefined && !isVirtio(model)
      ? [`${name}: its persistent member '${persistent}' is no virtio card but '${model}'`]
      : []),
    ...(mac !== undefined && partner.mac !== undefined && mac !== partner.mac
      ? [`${name}: its persistent member '${persistent}' has another MAC, ${partner.mac}, and a guest joins equal ones`]
      : []),
  ];
}
