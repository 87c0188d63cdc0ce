import type { HookFile, HostFacts } from './facts.ts';
import { type Finding, quoted } from './finding.ts';

const drivers = ['qemu', 'network'] as const;
/** Names of copies that editors and package managers leave: libvirt calls whatever is executable. */
const copies = /(~|\.(bak|old|orig|save|swp|dpkg-\w+|rpm\w+|ucf-\w+|disabled))$/;

/** Whether libvirt calls our hooks, once, and nothing that nobody means it to. */
export function examineHooks(facts: HostFacts): Finding[] {
  if (facts.areHooksUnread) return [];
  return [...drivers.flatMap(driver => examineDriver(driver, facts)), ...examineFiles(facts), ...examineDaemons(facts)];
}

function examineDriver(driver: HookFile['driver'], { hooks, hooksDirectory }: HostFacts): Finding[] {
  const own = hooks.filter(hook => hook.driver === driver && hook.own !== undefined && !copies.test(hook.file));
  if (own.length === 0) {
    return [
      {
        code: 'HOOK_MISSING',
        what: `there is no ${driver} hook of actualnet in ${hooksDirectory}`,
        why: 'libvirt does not call us: nothing is checked, and nothing that is configured is done',
        fix: './install.sh, or install the package again',
      },
    ];
  }
  const [first, ...others] = own.filter(hook => hook.executable);
  return others.map(({ file }) => ({
    code: 'HOOK_TWICE',
    what: `${file} is a second ${driver} hook of actualnet beside ${first!.file}`,
    why: 'each call would be carried out twice',
    fix: `rm ${quoted(file)}`,
  }));
}

function examineFiles({ hooks, writableDirectories }: HostFacts): Finding[] {
  const builds = new Set(
    hooks.flatMap(({ own, executable }) =>
      own === undefined || own.missing.length > 0 || !executable ? [] : own.build,
    ),
  );
  return [
    ...hooks.flatMap(examineFile),
    ...writableDirectories.map(
      (directory): Finding => ({
        code: 'HOOK_WRITABLE',
        what: `others than root may write in ${directory}`,
        why: 'whoever puts a file there runs it as root, with the next guest',
        fix: `chown root:root ${quoted(directory)} && chmod go-w ${quoted(directory)}`,
      }),
    ),
    ...(builds.size < 2
      ? []
      : [
          {
            code: 'HOOK_BUILDS',
            what: `the hooks run different builds of actualnet: ${[...builds].join(' and ')}`,
            why: 'what one writes the other may not know',
            fix: './install.sh, or install the package again',
          } as const,
        ]),
  ];
}

function examineFile({ file, executable, writable, own, wrongLabel }: HookFile): Finding[] {
  const findings: Finding[] = [];
  if (copies.test(file)) {
    if (executable)
      findings.push({
        code: 'HOOK_STRAY',
        what: `${file} looks like a copy, and is executable`,
        why: 'libvirt calls every executable in that directory, so this one too',
        fix: `chmod -x ${quoted(file)}`,
      });
    return findings;
  }
  if (own !== undefined && !executable)
    findings.push({
      code: 'HOOK_NOT_EXECUTABLE',
      what: `${file} is not executable`,
      why: 'libvirt passes it over, as if it were not there',
      fix: `chmod 755 ${quoted(file)}`,
    });
  if (own !== undefined && own.missing.length > 0)
    findings.push({
      code: 'HOOK_BROKEN',
      what: `${file} runs what is not there: ${own.missing.join(', ')}`,
      why: 'every start of a guest is refused',
      fix: './install.sh, or install the package again',
    });
  if (own !== undefined && executable && wrongLabel !== undefined)
    findings.push({
      code: 'SELINUX_LABEL',
      what: `${file} is not labelled as SELinux's policy has it: ${wrongLabel}`,
      why: 'libvirt may not be allowed to execute it, and refuses to start guests then',
      fix: `restorecon -v ${quoted(file)}`,
    });
  if (writable)
    findings.push({
      code: 'HOOK_WRITABLE',
      what: `others than root may write ${file}`,
      why: 'whoever does so runs what he likes as root, with the next guest',
      fix: `chown root:root ${quoted(file)} && chmod 755 ${quoted(file)}`,
    });
  return findings;
}

/**
 * libvirt looks for hooks of a driver when its daemon starts or is told to reload, and from then on only if it has found one
 * (libvirt, src/util/virhook.c). An upgrade changes a hook that is seen: a call since the daemon's start is proof of that.
 */
function examineDaemons({ hooks, daemons, lastCallMs }: HostFacts): Finding[] {
  const serves = { qemu: ['libvirtd', 'virtqemud'], network: ['libvirtd', 'virtnetworkd'] };
  // Without our history there is no proof of the contrary.
  if (lastCallMs === undefined) return [];
  const unseen = new Map<string, Set<string>>();
  for (const driver of drivers) {
    const own = hooks.filter(hook => hook.driver === driver && hook.executable);
    if (!own.some(hook => hook.own !== undefined)) continue;
    const firstMs = Math.min(...own.map(({ changedMs }) => changedMs));
    for (const { name, startedMs } of daemons)
      if (serves[driver].includes(name) && startedMs < firstMs && (lastCallMs[driver] ?? 0) < startedMs)
        unseen.set(name, (unseen.get(name) ?? new Set()).add(driver));
  }
  return [...unseen].map(([name, of]) => ({
    code: 'HOOK_UNSEEN',
    what: `${name} runs since before the first ${[...of].join(' and ')} hook was there`,
    why: 'libvirt looks for hooks when its daemon starts or reloads: it calls none until then. After a reload the next call shows it',
    fix: `systemctl restart ${name}`,
  }));
}
