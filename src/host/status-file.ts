import { parseUuid, type Uuid } from '../model/values.ts';
import { parseXml, type Span, type XmlDocument } from '../xml/document.ts';
import { findForeign, walkElements, withoutSpans } from '../xml/foreign.ts';

/** What is wanted of a status file without reading the guest: one pass over its bytes, in which nothing is built. */
export interface StatusOutline {
  /** Of `<domstatus>`; undefined for any other document. */
  readonly attribute: ((name: string) => string) | undefined;
  readonly uuid: Uuid | undefined;
  /** Its interfaces and host devices as they stand there. */
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
  let uuid: string | undefined;
  const devices: string[] = [];
  const isWhole = walkElements(text, {
    enters({ path, tag }) {
      const place = path.join('/');
      if (place === 'domstatus') head = decode(tag);
      return place === 'domstatus' || place === 'domstatus/domain' || place === 'domstatus/domain/devices';
    },
    passed({ path }, span) {
      if (path.length === 3 && path[1] === 'domain' && path[2] === 'uuid') uuid ??= decode(span);
      const isDevice = path.length === 4 && (path[3] === 'interface' || path[3] === 'hostdev');
      if (isDevice) devices.push(decode(span));
    },
  });
  return {
    attribute: head === undefined ? undefined : name => new RegExp(`\\s${name}=(['"])(.*?)\\1`).exec(head!)?.[2] ?? '',
    uuid: parseUuid(/^<uuid>([^<]*)</.exec(uuid ?? '')?.[1] ?? ''),
    devices: devices.join('\n'),
    isWhole,
  };
}

/** One of libvirt's files that is only read: what is foreign in it is not kept. Throws as `parseXml` does. */
export function parseLibvirtFile(content: Buffer): XmlDocument {
  const text = content.toString('latin1');
  const foreign = findForeign(text);
  return parseXml(foreign.length === 0 ? content : Buffer.from(withoutSpans(text, foreign), 'latin1'));
}
