import { checkoutDisk } from './hardware.ts';
import type { Machine } from './machine.ts';

/** Where this checkout is inside. */
export const checkout = '/opt/actualnet';
const configFile = '/etc/actualnet/config.yaml';

/** Installs this checkout's hooks as an administrator would, with a configuration if there is one, and restarts libvirt. */
export async function installHooks(machine: Machine, config?: string): Promise<void> {
  // install.sh builds what is not there or not up to date. Nothing can be built inside, and npm has done it outside.
  await machine.sh(`
    set -e
    mkdir -p ${checkout}
    tar --extract --file ${checkoutDisk} --directory ${checkout}
    cd ${checkout}
    mkdir -p node_modules src scripts
    touch dist/hook.cjs
    ./install.sh`);
  await configure(machine, config);
  await restartDaemon(machine);
}

/** Removes them again, with everything of theirs. */
export async function removeHooks(machine: Machine): Promise<void> {
  await machine.sh(
    `${checkout}/install.sh --uninstall --force; rm -rf ${checkout} /run/actualnet /var/log/actualnet.log*`,
  );
  await configure(machine, undefined);
  await restartDaemon(machine);
}

/** Gives the hooks another configuration, or none. It counts from the next call on. */
export async function configure(machine: Machine, config: string | undefined): Promise<void> {
  if (config === undefined) await machine.sh(`rm -f ${configFile}`);
  else await machine.putFile(configFile, config);
}

/** Guests keep running. */
export async function restartDaemon(machine: Machine): Promise<void> {
  await machine.sh('systemctl reset-failed libvirtd; systemctl restart libvirtd && virsh uri');
}

/** What the hooks logged, findings and errors only. */
export async function hookLog(machine: Machine): Promise<string[]> {
  const text = await machine.sh(`grep -v ' info ' /var/log/actualnet.log 2>/dev/null || :`);
  return text === '' ? [] : text.split('\n');
}
