import { type Domain, readDomain } from '../../model/domain.ts';
import { parseUuid, type Uuid } from '../../model/values.ts';
import { ActualnetError } from '../../report/error.ts';
import { parseXml, type XmlDocument } from '../../xml/document.ts';
import { findForeign, walkElements, withoutSpans } from '../../xml/foreign.ts';
import type { Span } from '../../xml/span.ts';

/** What is wanted of a status file without reading the guest: one pass over its bytes, in which nothing is built. */
export interface StatusOutline {
  /** Of `<domstatus>`; undefined for any other document. */
  readonly attribute: ((name: string) => string) | undefined;
  readonly uuid: Uuid | undefined;
  /** Its `<name>`, `<uuid>`, interfaces and host devices as they stand there. */
  readonly identity: string;
  readonly devices: string;
  /** False for a document that is cut off or not well nested. */
  readonly isWhole: boolean;
}

/**
 * The outline of libvirt's status file of a guest. Only elements in their own places count: a tenant's metadata may spell
 * anything. The texts are copies: nothing of the file stays in memory with them.
 */
export function outlineStatus(content: Buffer): StatusOutline {
  // Every byte a character: markup is ASCII, and what is wanted is decoded where it is found.
  const text = content.toString('latin1');
  const decode = ({ start, end }: Span) => content.toString('utf8', start, end);
  let head: string | undefined;
  const identity: string[] = [];
  const devices: string[] = [];
  const isWhole = walkElements(text, {
    enters({ path, tag }) {
      const place = path.join('/');
      if (place === 'domstatus') head = decode(tag);
      return place === 'domstatus' || place === 'domstatus/domain' || place === 'domstatus/domain/devices';
    },
    passed({ path }, span) {
      const isIdentity = path.length === 3 && path[1] === 'domain' && (path[2] === 'uuid' || path[2] === 'name');
      if (isIdentity) identity.push(decode(span));
      const isDevice = path.length === 4 && (path[3] === 'interface' || path[3] === 'hostdev');
      if (isDevice) devices.push(decode(span));
    },
  });
  return {
    attribute: head === undefined ? undefined : name => new RegExp(`\\s${name}=(['"])(.*?)\\1`).exec(head!)?.[2] ?? '',
    uuid: parseUuid(/^<uuid>([^<]*)</.exec(identity.find(each => each.startsWith('<uuid>')) ?? '')?.[1] ?? ''),
    identity: identity.join(''),
    devices: devices.join('\n'),
    isWhole,
  };
}

/**
 * A running guest as far as its identity and its devices go, without the rest of its file: there may be a thousand. Throws as
 * `readDomain` does.
 */
export function readDevices(content: Buffer): Domain {
  const { identity, devices, isWhole } = outlineStatus(content);
  if (!isWhole) throw new ActualnetError('XML_SYNTAX', 'the document is cut off or not well nested');
  return readDomain(
    parseXml(`<domstatus><domain id='1'>${identity}<devices>${devices}</devices></domain></domstatus>`),
  );
}

/** One of libvirt's files that is only read: what is foreign in it is not kept. Throws as `parseXml` does. */
export function parseLibvirtFile(content: Buffer): XmlDocument {
  const text = content.toString('latin1');
  const foreign = findForeign(text);
  return parseXml(foreign.length === 0 ? content : Buffer.from(withoutSpans(text, foreign), 'latin1'));
}
