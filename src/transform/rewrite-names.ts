import { commandLineNames, readOverrides } from '../model/command-line.ts';
import type { Domain, Hostdev } from '../model/domain.ts';
import { type Interface, isKeptByLibvirt, isUserAlias } from '../model/interface.ts';
import type { NetworkLookup } from '../resolve/guest.ts';
import type { XmlElement } from '../xml/document.ts';
import { assignAliases, type Named } from './aliases.ts';
import { addChildren, setAttribute } from './elements.ts';
import { type Asked, isOfPool, nothing, quoted, type Rewritten } from './rewrite-connection.ts';

interface Context {
  readonly domain: Domain;
  readonly findNetwork: NetworkLookup;
}

/** Gives a tap or macvtap another name. Throws through `refuse`. */
export function retarget(
  iface: Interface,
  dev: string,
  { refuse, why }: Pick<Asked<Context>, 'refuse' | 'why'>,
): Rewritten {
  const { element, target, type } = iface;
  if (target.dev === dev) return nothing;
  if (type === 'hostdev') refuse('a host device has no target');
  if (isKeptByLibvirt(dev))
    refuse(`libvirt takes '${dev}' for a name of its own and forgets it`, 'choose another prefix');
  const present = element.child('target');
  return {
    edits:
      present === undefined
        ? addChildren(element, [{ name: 'target', attributes: { dev } }], why)
        : [setAttribute(present, 'dev', dev, why)],
    changes: [`target ${quoted(target.dev)} becomes '${dev}'`],
  };
}

/** Gives a device another alias, if nobody else knows it by its own. Throws through `refuse`. */
export function rename(element: XmlElement, { alias, ...asked }: { alias: string } & Asked<Context>): Rewritten {
  const { context, refuse, why } = asked;
  const before = element.child('alias')?.attribute('name');
  if (before === alias) return nothing;
  const devices = context.domain.element.childrenNamed('devices').flatMap(({ children }) => children);
  const others = devices.filter(device => device.span.start !== element.span.start);
  if (others.some(device => device.child('alias')?.attribute('name') === alias))
    refuse(`another device has the alias '${alias}'`);
  const partners = devices.filter(device => device.child('teaming')?.attribute('persistent') === before);
  if (before !== undefined && isUserAlias(before) && partners.length > 0)
    refuse(`its alias '${before}' is what its teaming partner knows it by`);
  requireNames(element, alias, asked);
  const present = element.child('alias');
  return {
    edits:
      present === undefined
        ? addChildren(element, [{ name: 'alias', attributes: { name: alias } }], why)
        : [setAttribute(present, 'name', alias, why)],
    changes: [`alias ${quoted(before)} becomes '${alias}'`],
  };
}

/**
 * What `<qemu:override>` is for is known by its alias alone, and the command line names devices and their backends; an alias
 * that a user gives changes the numbers in those that libvirt gives to the devices behind.
 */
function requireNames(element: XmlElement, alias: string, { context, refuse }: Asked<Context>): void {
  const { element: root, interfaces, hostdevs } = context.domain;
  const types = interfaces.map(iface => (isOfPool(iface, context) ? 'hostdev' : iface.type));
  const assign = <T extends Named>(name: (device: Interface | Hostdev) => T) => {
    const aliases = assignAliases({ interfaces: interfaces.map(name), hostdevs: hostdevs.map(name) }, types);
    return [...aliases.interfaces, ...aliases.hostdevs];
  };
  const before = assign(device => device);
  const after = assign(device => (device.element === element ? { alias } : device));
  const ownerOf = (name: string, aliases: readonly string[]) => aliases.findIndex(each => namesOf(each).includes(name));
  const moves = (name: string) => ownerOf(name, before) !== ownerOf(name, after);
  const overridden = readOverrides(root).find(moves);
  if (overridden !== undefined)
    refuse(`<qemu:override> is for alias '${overridden}', which would be another device's, or nobody's`);
  const named = [...commandLineNames(root)].find(moves);
  if (named !== undefined)
    refuse(`<qemu:commandline> has the name '${named}', which would be another device's, or nobody's`);
}

/** What QEMU knows a device by: itself, its network backend, and the character device of one (libvirt's qemu_command.c). */
function namesOf(alias: string): string[] {
  return [alias, `host${alias}`, `char${alias}`];
}
