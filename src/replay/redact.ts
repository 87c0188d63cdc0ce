import { guestPlaces, interfaceSettings } from '../config/types.ts';
import { qemuNamespace } from '../model/command-line.ts';
import { parseXml, type XmlAttribute, type XmlElement } from '../xml/document.ts';
import { findForeign } from '../xml/foreign.ts';
import type { Span } from '../xml/span.ts';

/** A document without its secrets, and what was taken out, for whoever has to look for it elsewhere. */
export interface Redacted {
  readonly text: string;
  readonly removed: readonly string[];
}

/** What stands in their place. */
const mark = 'redacted';

/** An attribute or element of such a name holds a secret, wherever it is. */
const secretName = /passw|passphrase|secret|token|credential|cookie|private-?key/i;

/**
 * What libvirt itself treats as sensitive (its VIR_DOMAIN_DEF_FORMAT_SECURE), and what people put secrets into. The text
 * of these goes, and the values of these attributes; `*` stands for all but `type`.
 */
const hiddenTexts = new Set(
  ['description', 'title', 'cmdline', 'initarg', 'initenv', 'entry', 'dhCert', 'session'].concat([
    'idBlock',
    'idAuth',
    'hostData',
    'identity',
    'certificate',
    'database',
  ]),
);
const hiddenAttributes: Readonly<Record<string, readonly string[]>> = {
  auth: ['username'],
  secret: ['*'],
  source: ['query'],
  identity: ['*'],
  entry: ['file'],
};

/**
 * A domain's, network's or port's document without secrets: every other byte stays, so that whatever is decided by it is
 * decided as before. Throws as `parseXml` does.
 */
export function redactDocument(input: string | Uint8Array): Redacted {
  const { text, root } = parseXml(input);
  const cuts: Cut[] = findForeign(text).map(({ start, end, elements }) => ({
    at: { start, end },
    // Others may ask for more than is read, which is told by their number.
    by: '<redacted/>'.repeat(Math.min(elements, 5000)),
    secret: '',
  }));
  collect(root, { cuts, inMetadata: false });
  cuts.sort((a, b) => a.at.start - b.at.start);
  const pieces: string[] = [];
  let at = 0;
  for (const cut of cuts.filter(({ at: { start, end } }) => end > start)) {
    if (cut.at.start < at) continue;
    pieces.push(text.slice(at, cut.at.start), cut.by);
    at = cut.at.end;
  }
  const removed = new Set(cuts.map(({ secret }) => secret).filter(secret => secret.length >= 6 && secret !== mark));
  return { text: pieces.join('') + text.slice(at), removed: [...removed] };
}

interface Cut {
  readonly at: Span;
  readonly by: string;
  readonly secret: string;
}

interface Collecting {
  readonly cuts: Cut[];
  readonly inMetadata: boolean;
}

function collect(element: XmlElement, { cuts, inMetadata: isBelow }: Collecting): void {
  const inMetadata = isBelow || element.name === 'metadata';
  const isPrefixed = element.name.includes(':') && !inMetadata;
  for (const attribute of element.attributes.values()) {
    const isHidden = inMetadata ? isStrange(attribute.name) : isSecret(element, attribute.name, isPrefixed);
    if (isHidden && attribute.valueSpan.end > attribute.valueSpan.start) cuts.push(cutOf(attribute, mark));
  }
  const isHiddenText = inMetadata || isPrefixed || hiddenTexts.has(element.name) || secretName.test(element.name);
  if (isHiddenText && element.text.trim() !== '') cuts.push(...textCuts(element));
  if (element.localName === 'commandline' && element.namespace === qemuNamespace) {
    redactArguments(element, cuts);
    return;
  }
  for (const child of element.children) collect(child, { cuts, inMetadata });
}

/** Of what is ours in metadata the known attributes stay. */
function isStrange(name: string): boolean {
  const known: readonly string[] = ['mac', 'tap', ...interfaceSettings, ...guestPlaces];
  return !known.includes(name) && name !== 'xmlns' && !name.startsWith('xmlns:');
}

function isSecret(element: XmlElement, name: string, isPrefixed: boolean): boolean {
  if (name === 'xmlns' || name.startsWith('xmlns:')) return false;
  if (isPrefixed) return name !== 'name' && name !== 'alias';
  const hidden = Object.hasOwn(hiddenAttributes, element.name) ? hiddenAttributes[element.name]! : [];
  return secretName.test(name) || hidden.includes(name) || (hidden.includes('*') && name !== 'type');
}

function cutOf({ value, valueSpan }: XmlAttribute, by: string): Cut {
  return { at: valueSpan, by, secret: value };
}

function textCuts(element: XmlElement): Cut[] {
  const ends = [...element.children.map(({ span }) => span), undefined];
  let start = element.startTagEnd;
  return ends.flatMap(child => {
    const end = child?.start ?? element.source.lastIndexOf('<', element.span.end - 1);
    const at = { start, end };
    start = child?.end ?? end;
    const secret = element.source.slice(at.start, at.end).trim();
    return secret === '' ? [] : [{ at, by: element.children.length === 0 ? mark : ' ', secret }];
  });
}

/** What is read of netdevs and devices on the command line; the names of other objects, which must not be given twice. */
const keptOptions = [
  'id',
  'ifname',
  'mac',
  'host',
  'sysfsdev',
  'netdev',
  'iommufd',
  'br',
  'fd',
  'fds',
  'helper',
].concat([
  'vhost',
  'vhostfd',
  'vhostfds',
  'queues',
  'script',
  'downscript',
  'bus',
  'addr',
  'type',
  'driver',
  'vectors',
  'mq',
]);

/** In QEMU's command line any word may be a secret: options stay, and of their values what is known to be none. */
function redactArguments(commandLine: XmlElement, cuts: Cut[]): void {
  let option = '';
  for (const child of commandLine.children) {
    const value = child.attributes.get('value');
    if (value !== undefined && value.value !== '') {
      const word = value.value;
      const isOption = child.localName === 'arg' && /^--?[a-z][a-z0-9-]*$/i.test(word);
      const by = child.localName === 'arg' ? redactArgument(option, word) : mark;
      if (!isOption && by !== word) cuts.push(cutOf(value, escapeValue(by)));
      option = isOption ? word.replace(/^--?/, '') : '';
    }
    if (child.text.trim() !== '') cuts.push(...textCuts(child));
  }
}

function redactArgument(option: string, word: string): string {
  const isRead = option === 'netdev' || option === 'device';
  const kept = isRead ? keptOptions : ['id', 'netdev'];
  if (option === 'set') return `${/^[\w.-]*/.exec(word)![0]}=${mark}`;
  if (isRead && word.trimStart().startsWith('{')) {
    try {
      return JSON.stringify(JSON.parse(word), (key, value) => (key === '' || kept.includes(key) ? value : mark));
    } catch {
      return mark;
    }
  }
  const parts = word.match(/(?:[^,]|,,)+/g) ?? [];
  return parts
    .map((part, index) => {
      const [key = ''] = part.split('=', 1);
      if (kept.includes(key) || (isRead && index === 0 && key === part)) return part;
      // Of other options nobody knows whether what stands before an equals sign is a name.
      return isRead && key !== part && /^[a-z][\w.-]*$/.test(key) ? `${key}=${mark}` : mark;
    })
    .join(',');
}

function escapeValue(text: string): string {
  return text.replace(/[&<>'"]/g, character => `&#${character.charCodeAt(0)};`);
}

/** A text that is no document, without the secrets of documents: a message may quote one. */
export function withoutSecrets(text: string, removed: readonly string[]): string {
  return removed.reduce((rest, secret) => rest.replaceAll(secret, mark), text);
}
