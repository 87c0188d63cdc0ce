// Usage: node scripts/in-namespace.mjs COMMAND... Runs it in a private user, network and mount namespace with its own
// sysfs; without root where the kernel allows it. Where it does not, the command still runs, told why, to count its skips.
import { spawnSync } from 'node:child_process';

const [, , ...command] = process.argv;
const enter = ['--user', '--map-root-user', '--net', '--mount'];
const probe = spawnSync('unshare', [...enter, 'sh', '-c', 'mount -t sysfs sysfs /sys'], { encoding: 'utf8' });
const reason =
  probe.status === 0 ? '' : (probe.stderr ?? probe.error?.message ?? 'unshare failed').trim().split('\n')[0];
const run =
  reason === ''
    ? ['unshare', ...enter, 'sh', '-c', 'mount -t sysfs sysfs /sys && exec "$@"', 'sh', ...command]
    : command;
if (reason !== '') console.error(`no private namespace here, its tests are skipped: ${reason}`);
// The command ends in its own way.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
const env = { ...process.env, ...(reason === '' ? { ACTUALNET_NAMESPACE: '1' } : {}) };
const { status, error } = spawnSync(run[0], run.slice(1), { stdio: 'inherit', env });
if (error) throw error;
process.exit(status ?? 1);
