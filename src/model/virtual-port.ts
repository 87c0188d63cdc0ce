import { ActualnetError } from '../report/error.ts';
import type { XmlElement } from '../xml/document.ts';
import { type Reader, readNumber } from './numbers.ts';
import { type Owner, parseUuid, readOneOf, readText, wrongValue } from './values.ts';

export const virtualPortTypes = ['802.1Qbg', '802.1Qbh', 'openvswitch', 'midonet'] as const;
export type VirtualPortType = (typeof virtualPortTypes)[number];

export const virtualPortParameters = [
  'managerid',
  'typeid',
  'typeidversion',
  'instanceid',
  'interfaceid',
  'profileid',
] as const;
export type VirtualPortParameter = (typeof virtualPortParameters)[number];

/** `<virtualport>`. `generated` names the parameters for which libvirt makes a random uuid that nobody can predict. */
export interface VirtualPort {
  readonly type?: VirtualPortType;
  readonly parameters: Readonly<Partial<Record<VirtualPortParameter, string>>>;
  readonly generated: readonly VirtualPortParameter[];
}

/** Which parameters a type can carry; an untyped profile may carry any (libvirt's virNetDevVPortProfileCheckNoExtras). */
export const parametersOfType: Readonly<Record<VirtualPortType, readonly VirtualPortParameter[]>> = {
  '802.1Qbg': ['managerid', 'typeid', 'typeidversion', 'instanceid'],
  '802.1Qbh': ['profileid'],
  openvswitch: ['interfaceid', 'profileid'],
  midonet: ['interfaceid'],
};

/** libvirt keeps a profile id in 40 bytes, the last of which is zero. */
const maxProfileIdBytes = 39;

/**
 * The `<virtualport>` child of `parent`. On an interface libvirt fills missing ids with random uuids while it parses,
 * also when no type is given; on a network or portgroup it does not.
 */
export function readVirtualPort(
  owner: Owner,
  parent: XmlElement,
  rules: { typeRequired: boolean; generatesIds: boolean; reader?: Reader },
): VirtualPort | undefined {
  const element = parent.child('virtualport');
  if (element === undefined) return undefined;
  const type = readOneOf(owner, element, 'type', virtualPortTypes);
  if (type === undefined && rules.typeRequired) {
    wrongValue(owner, element, { place: '@type', expected: `one of ${virtualPortTypes.join(', ')}` });
  }
  const parameters = readParameters(owner, element, rules.reader);
  if (type !== undefined) {
    const extra = virtualPortParameters.find(name => name in parameters && !parametersOfType[type].includes(name));
    if (extra !== undefined) {
      throw new ActualnetError(
        'XML_VALUE',
        `${owner}: virtualport type '${type}' has no parameter '${extra}' (line ${element.line})`,
      );
    }
  }
  const generated = (['instanceid', 'interfaceid'] as const).filter(
    name => rules.generatesIds && !(name in parameters) && generatesId(type, name),
  );
  return { ...(type === undefined ? {} : { type }), parameters, generated };
}

function generatesId(type: VirtualPortType | undefined, parameter: 'instanceid' | 'interfaceid'): boolean {
  return type === undefined || type === (parameter === 'instanceid' ? '802.1Qbg' : 'openvswitch');
}

function readParameters(owner: Owner, virtualport: XmlElement, reader: Reader): VirtualPort['parameters'] {
  const parameters: Partial<Record<VirtualPortParameter, string>> = {};
  const element = virtualport.child('parameters');
  if (element === undefined) return parameters;
  for (const name of virtualPortParameters) {
    const value = element.attribute(name);
    if (value === undefined) continue;
    if (name === 'profileid') {
      const profile = readText(element, name);
      if (Buffer.byteLength(value) > maxProfileIdBytes)
        wrongValue(owner, element, { place: `@${name}`, expected: `no more than ${maxProfileIdBytes} bytes` });
      if (profile !== undefined) parameters[name] = profile;
    } else if (name === 'instanceid' || name === 'interfaceid') {
      parameters[name] = parseUuid(value) ?? wrongValue(owner, element, { place: `@${name}`, expected: 'a uuid' });
    } else {
      parameters[name] = String(readNumber(owner, element, name, reader));
    }
  }
  return parameters;
}
