import type { HostFacts, ManagerFile } from './facts.ts';
import type { Finding } from './finding.ts';

/** Links that libvirt and actualnet make for guests, as managers name them. */
const guestLinks = ['vnet0', 'macvtap0', 'tap0'];
const unmanagedLine = '[keyfile]\\nunmanaged-devices=interface-name:vnet*;interface-name:macvtap*;interface-name:tap*';

/** Whether somebody else takes the guests' links for his own. */
export function examineManagers(facts: HostFacts): Finding[] {
  const { runningManagers, managerFiles } = facts;
  const filesOf = (manager: ManagerFile['manager']) => managerFiles.filter(file => file.manager === manager);
  const findings: Finding[] = [];
  const guards = filesOf('NetworkManager').flatMap(
    ({ text }) => text.match(/^\s*unmanaged-devices\s*[+]?=.*$/gm) ?? [],
  );
  const isGuarded = (link: string) => guards.some(line => isUnmanaged(line, link));
  if (runningManagers.includes('NetworkManager') && !guestLinks.every(isGuarded))
    findings.push({
      code: 'MANAGER_UNDOES',
      what: "NetworkManager manages the guests' links",
      why: 'it may take a tap down, or out of its bridge, when its connections change',
      fix: `printf '${unmanagedLine}\\n' >/etc/NetworkManager/conf.d/actualnet.conf && nmcli general reload`,
    });
  if (runningManagers.includes('systemd-networkd')) {
    const files = inNetworkdOrder(filesOf('systemd-networkd'));
    const taken = new Map(
      guestLinks.flatMap(link => {
        const first = files.find(({ text }) => networkdMatches(text, link));
        return first === undefined || isLeftAlone(first.text) ? [] : [[first.file, link] as const];
      }),
    );
    for (const [file, link] of taken)
      findings.push({
        code: 'MANAGER_UNDOES',
        what: `${file} makes systemd-networkd manage links like ${link}`,
        why: "it sets addresses and bridges of guests' links anew at each reload",
        fix: `printf '[Match]\\nName=vnet* macvtap* tap*\\n[Link]\\nUnmanaged=yes\\n' >/etc/systemd/network/${nameBefore(file)} && networkctl reload`,
      });
  }
  for (const { file, text } of filesOf('ifupdown')) {
    const link = /^\s*(?:auto|allow-hotplug|iface)\s+((?:vnet|macvtap)\d+)/m.exec(text)?.[1];
    if (link !== undefined)
      findings.push({
        code: 'MANAGER_UNDOES',
        what: `${file} configures ${link}`,
        why: 'ifupdown and libvirt would both set it up',
        fix: `remove what ${file} says of ${link}`,
      });
  }
  return findings;
}

/** NetworkManager's device lists: one that fits is in, unless one behind `except:` fits as well (NetworkManager.conf(5)). */
function isUnmanaged(line: string, link: string): boolean {
  const specs = line
    .slice(line.indexOf('=') + 1)
    .split(/[;,]/)
    .map(spec => spec.trim());
  const fits = (spec: string) => spec === '*' || matches(/^interface-name:=?(.*)$/.exec(spec)?.[1] ?? '', link);
  const isExcepted = specs.some(spec => spec.startsWith('except:') && fits(spec.slice('except:'.length)));
  return !isExcepted && specs.some(spec => !spec.startsWith('except:') && fits(spec));
}

/** A name for a file of ours that comes before the other. */
function nameBefore(file: string): string {
  const other = file.slice(file.lastIndexOf('/') + 1);
  const names = ['00-actualnet.network', '0-actualnet.network', '+actualnet.network'];
  return names.find(name => name < other) ?? names[0]!;
}

/** By name, wherever they lie; of one name that in /etc hides the other (systemd.network(5)). */
function inNetworkdOrder(files: readonly ManagerFile[]): ManagerFile[] {
  const nameOf = ({ file }: ManagerFile) => file.slice(file.lastIndexOf('/') + 1);
  const byName = new Map<string, ManagerFile>();
  for (const file of files) if (!byName.has(nameOf(file))) byName.set(nameOf(file), file);
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
}

/** Whether the `[Match]` of a file fits a link: all that is given must. Of all files the first that fits counts. */
function networkdMatches(text: string, link: string): boolean {
  const match = /^\[Match\]\s*\n((?:(?!\[)[^\n]*\n?)*)/m.exec(text)?.[1] ?? '';
  const keys = [...match.matchAll(/^\s*([A-Za-z]+)\s*=\s*(.*)$/gm)];
  return keys.every(([, key, value = '']) => {
    if (key === 'Name') return fitsList(value, link);
    if (key === 'Type') return fitsList(value, 'ether');
    // What else may be asked of a link, its driver for example, is of cards.
    return key === 'Kind' && fitsList(value, link.startsWith('macvtap') ? 'macvtap' : 'tun');
  });
}

/** Patterns with blanks between; `!` in front turns the whole list round (systemd.network(5)). */
function fitsList(value: string, text: string): boolean {
  const isNegated = value.trim().startsWith('!');
  const patterns = value.trim().replace(/^!/, '').split(/\s+/);
  return patterns.some(pattern => matches(pattern, text)) !== isNegated;
}

function isLeftAlone(text: string): boolean {
  return /^\s*Unmanaged\s*=\s*(yes|true|1)/m.test(text);
}

function matches(pattern: string, link: string): boolean {
  if (pattern.length > 64) return false;
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${escaped}$`).test(link);
}
