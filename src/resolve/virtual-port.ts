import {
  parametersOfType,
  type VirtualPort,
  type VirtualPortParameter,
  virtualPortParameters,
} from '../model/virtual-port.ts';
import { ActualnetError } from '../report/error.ts';

/** A profile and who gave it, for messages and reasons. */
export interface VirtualPortGiver {
  readonly from: string;
  readonly virtualport: VirtualPort | undefined;
}

/**
 * libvirt's three-way merge (virNetDevVPortProfileMerge3): the interface's profile first, then the network's fills what
 * is empty, then the portgroup's. Two different values are a conflict (`VIRTUALPORT_CONFLICT`), never an override. If
 * nobody gives a type nothing is merged and the first giver's profile stays as it is.
 */
export function mergeVirtualPorts(givers: readonly [VirtualPortGiver, ...VirtualPortGiver[]]): VirtualPort | undefined {
  const own = givers[0].virtualport;
  if (givers.every(giver => giver.virtualport?.type === undefined)) return own;
  const origin = new Map<string, string>();
  let merged: VirtualPort = own ?? { parameters: {}, generated: [] };
  for (const field of ['type', ...Object.keys(merged.parameters), ...merged.generated])
    origin.set(field, givers[0].from);
  if (merged.type === undefined) origin.delete('type');
  for (const giver of givers.slice(1)) {
    if (giver.virtualport !== undefined) merged = mergeInto(merged, giver as Required<VirtualPortGiver>, origin);
  }
  return withoutIrrelevant(merged);
}

/** What an untyped profile carried for another type than the one it got is not used, nor printed by libvirt. */
function withoutIrrelevant({ type, parameters, generated }: VirtualPort): VirtualPort {
  const belongs = (name: VirtualPortParameter) => type === undefined || parametersOfType[type].includes(name);
  const kept = Object.entries(parameters).filter(([name]) => belongs(name as VirtualPortParameter));
  return { ...(type && { type }), parameters: Object.fromEntries(kept), generated: generated.filter(belongs) };
}

function mergeInto(
  base: VirtualPort,
  giver: { from: string; virtualport: VirtualPort | undefined },
  origin: Map<string, string>,
): VirtualPort {
  const given = giver.virtualport!;
  if (base.type !== undefined && given.type !== undefined && base.type !== given.type) {
    throw conflict('type', { has: base.type, from: origin.get('type')! }, { has: given.type, from: giver.from });
  }
  const type = base.type ?? given.type;
  if (type !== undefined && !origin.has('type')) origin.set('type', giver.from);
  const parameters = { ...base.parameters };
  const generated = [...base.generated];
  for (const name of virtualPortParameters) {
    const value = given.generated.includes(name) ? 'a generated one' : given.parameters[name];
    if (value === undefined || !isMerged(name, type)) continue;
    const present = generated.includes(name) ? 'a generated one' : parameters[name];
    if (present === undefined) {
      origin.set(name, giver.from);
      if (given.generated.includes(name)) generated.push(name);
      else parameters[name] = value;
    } else if (present !== value) {
      throw conflict(name, { has: present, from: origin.get(name)! }, { has: value, from: giver.from });
    }
  }
  return { ...(type === undefined ? {} : { type }), parameters, generated };
}

/** Which parameters the merge looks at; midonet's interfaceid is not among them in libvirt. */
function isMerged(name: VirtualPortParameter, type: VirtualPort['type']): boolean {
  if (type === undefined) return true;
  return type !== 'midonet' && parametersOfType[type].includes(name);
}

function conflict(
  field: string,
  first: { has: string; from: string },
  second: { has: string; from: string },
): ActualnetError {
  return new ActualnetError(
    'VIRTUALPORT_CONFLICT',
    `the virtualports of ${first.from} and ${second.from} disagree on ${field}: '${first.has}' and '${second.has}'`,
    { hint: `leave ${field} out in one of them: nothing overrides here` },
  );
}

const required: Readonly<Record<NonNullable<VirtualPort['type']>, readonly VirtualPortParameter[]>> = {
  '802.1Qbg': ['managerid', 'typeid', 'typeidversion'],
  '802.1Qbh': ['profileid'],
  openvswitch: [],
  midonet: ['interfaceid'],
};
const generatedWhenMissing = { '802.1Qbg': 'instanceid', openvswitch: 'interfaceid' } as const;

/** Checks that a typed profile has all it needs (`VIRTUALPORT_INCOMPLETE`) and notes the id libvirt will generate. */
export function completeVirtualPort(virtualport: VirtualPort): VirtualPort {
  const { type, parameters, generated } = virtualport;
  if (type === undefined) return virtualport;
  const has = (name: VirtualPortParameter) => name in parameters || generated.includes(name);
  const lacking = required[type].find(name => !has(name));
  if (lacking !== undefined) {
    throw new ActualnetError('VIRTUALPORT_INCOMPLETE', `virtualport '${type}' lacks the parameter '${lacking}'`);
  }
  const id = type in generatedWhenMissing ? generatedWhenMissing[type as keyof typeof generatedWhenMissing] : undefined;
  return id === undefined || has(id) ? virtualport : { ...virtualport, generated: [...generated, id] };
}
