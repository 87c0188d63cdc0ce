import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { hookDrivers } from '../hook/phases.ts';
import { listUnreadConfigFiles, loadConfig, readConfigFiles } from '../host/config-files.ts';
import { findGuestDefinition, findLibvirtVersion, listKeptByLibvirt } from '../host/libvirt-files.ts';
import { fileMemory } from '../host/memory.ts';
import { hasWitness } from '../host/one-witness.ts';
import { tryReadRunState } from '../host/run-states.ts';
import type { Uuid } from '../model/values.ts';
import { ActualnetError, asActualnetError, errorLine, printable } from '../report/error.ts';
import { parseLibvirtVersion } from '../resolve/version.ts';
import type { WitnessState } from '../witness/witness.ts';
import { commandIo } from './command-io.ts';
import { deviceSources, ownEffects } from './effects.ts';
import { answerHook, cameFromElsewhere, deliver, deviceUsers, hookContext, thisHost } from './hook.ts';
import { attachModule, detachModule } from './hotplug-commands.ts';
import { recoverModule, undoModule } from './recovery-commands.ts';
import { unmark, unmarked, wordsFor } from './words.ts';

const paths = thisHost();
const memory = fileMemory(paths, Date.now);

const dash = '/dev/stdin';
const words = wordsFor(hideBin(process.argv), dash);

const io = commandIo(dash);

const isIncoming = (guest: Uuid) => cameFromElsewhere(memory, guest);

const runsHere = (guest: string) => tryReadRunState(paths, guest) !== undefined;

/** What planning needs of this host. */
async function planningContext() {
  const { effects, libvirtVersion: version } = hookContext(paths);
  const config = await loadConfig(paths);
  if (config.outdated !== undefined) warnOnce(config.outdated);
  return { config, effects, findNetwork: memory.findNetwork, version };
}

const warned = new Set<string>();

function warnOnce(line: string): void {
  if (!warned.has(line)) process.stderr.write(`warning: ${printable(line)}\n`);
  warned.add(line);
}

/** What is wrong with the configuration, if anything is. */
const configProblem = () =>
  loadConfig(paths).then(
    config => config.outdated,
    error => `no guest can start: ${errorLine(error)}`,
  );

/** What the witness says of itself, or why nobody can know; the guests are told of all the same. */
async function lookForWitness(): Promise<{ readonly witness: WitnessState | undefined; readonly unseen?: string }> {
  try {
    return { witness: (await hasWitness(paths)) ? (memory.readWitness() as WitnessState | undefined) : undefined };
  } catch (error) {
    return { witness: undefined, unseen: asActualnetError(error).message };
  }
}

/** Planning is read anew for each step: a command may wait long for a guest. */
async function hotplugging() {
  const { hotplugHost } = await import('./hotplug.ts');
  const { log } = hookContext(paths);
  const say = (line: string) => io.write(`${printable(line)}\n`);
  // libvirt allocates by its own count, and it is not asked from a hook here.
  const planning = async () => ({ ...(await planningContext()), findNetwork: memory.findLibvirtNetwork });
  return hotplugHost(paths, { memory, planning, log, say });
}

const tableOrJson = { choices: ['table', 'json'] as const, default: 'table' as const, describe: 'output format' };
const domainFile = { type: 'string', demandOption: true, describe: 'domain XML file, - for stdin' } as const;

/** Exit status: 0 fine, 1 refused or failed, 2 wrong usage. */
async function main(): Promise<void> {
  await yargs(words)
    .scriptName('actualnet')
    .usage("$0 COMMAND: the host side of a libvirt guest's network interfaces")
    .locale('en')
    .parserConfiguration({ 'parse-positional-numbers': false, 'parse-numbers': false })
    .middleware(unmark)
    .command(
      'resolve <domain>',
      'what each interface of a guest will be on this host, under which alias, and why',
      y =>
        y
          .positional('domain', domainFile)
          .option('network', {
            type: 'string',
            array: true,
            nargs: 1,
            default: [] as string[],
            describe: 'network XML file (repeatable)',
          })
          .option('networks-dir', { type: 'string', describe: 'directory of network XML files' })
          .option('libvirt-version', {
            type: 'string',
            describe: 'whose rules to apply, like 11.3.0; default: the one installed',
          })
          .option('format', {
            choices: ['table', 'json', 'xml'] as const,
            default: 'table' as const,
            describe: 'output format',
          }),
      async argv => {
        const { resolveCommand } = await import('../cli/resolve.ts');
        const wanted = argv.libvirtVersion === undefined ? undefined : parseLibvirtVersion(argv.libvirtVersion);
        const libvirtVersion = () => wanted ?? findLibvirtVersion(paths);
        const { domain, network, networksDir, format } = argv;
        const thisHost = { findNetwork: memory.findNetwork, runs: runsHere, planning: planningContext };
        await resolveCommand({ domain, network, networksDir, format, libvirtVersion, thisHost }, io);
      },
    )
    .command(
      'transform <domain>',
      'rewrite a document as the configuration asks for on this host',
      y => y.positional('domain', domainFile),
      async argv => {
        const { transformCommand } = await import('../cli/transform.ts');
        const usersBeside = (guest: Uuid | undefined) => deviceUsers(paths, memory, guest);
        await transformCommand({ domain: argv.domain, usersBeside, ...(await planningContext()) }, io);
      },
    )
    .command(
      'explain <guest>',
      'what each interface of a recorded guest is and why, and how its document was rewritten',
      y => y.positional('guest', { type: 'string', demandOption: true, describe: 'name or uuid' }),
      async argv => {
        const { explainCommand } = await import('../cli/explain.ts');
        const usersBeside = (guest: Uuid | undefined) => deviceUsers(paths, memory, guest);
        const findDefinition = (name: string) => findGuestDefinition(paths, name);
        const { guest } = argv;
        await explainCommand({ guest, memory, usersBeside, findDefinition, ...(await planningContext()) }, io);
      },
    )
    .command(
      'hook <driver> <object> <operation> [sub-operation] [extra]',
      'answer a call as libvirt makes it, document on stdin',
      y => y.positional('driver', { choices: hookDrivers, demandOption: true }),
      async argv => {
        const call = [argv.driver, argv.object, argv.operation, argv.subOperation ?? '-', argv.extra ?? '-'];
        deliver(await answerHook(call.map(word => (word === dash ? '-' : String(word)))));
      },
    )
    .command(
      'plan <driver> <guest> <operation>',
      'what a hook call would do and undo, document on stdin',
      y => y.positional('driver', { choices: ['qemu'] as const, demandOption: true }).option('format', tableOrJson),
      async argv => {
        const { planCommand } = await import('../cli/plan.ts');
        const { accessRules } = hookContext(paths);
        const { findLibvirtNetwork } = memory;
        const context = { ...(await planningContext()), isIncoming, accessRules, findLibvirtNetwork };
        await planCommand({ document: dash, operation: String(argv.operation), format: argv.format, ...context }, io);
      },
    )
    .command(
      ['reachable <domain>', 'unreachable <domain>'],
      'opens a guest to the network as when its CPUs start, or closes it as when they stop; a live document',
      y => y.positional('domain', domainFile),
      async argv => {
        const { reachCommand } = await import('../cli/reach.ts');
        const to = argv._[0] === 'unreachable' ? 'unreachable' : 'reachable';
        await reachCommand({ document: argv.domain, to, isIncoming, ...(await planningContext()) }, io);
      },
    )
    .command(recoverModule({ paths, memory, io }))
    .command(undoModule({ paths, memory, io }))
    .command(
      'status [guest]',
      'what is known about the guests of this host',
      y =>
        y
          .positional('guest', { type: 'string', describe: 'name or uuid' })
          .option('pool', {
            type: 'boolean',
            default: false,
            describe: 'the VFs of this host instead, and who has them',
          })
          .option('migrations', {
            type: 'boolean',
            default: false,
            describe: 'when migrated guests were closed here, or opened',
          })
          .option('check', {
            type: 'boolean',
            default: false,
            describe: 'whether everything about a running guest agrees',
          })
          .option('peer', {
            type: 'string',
            implies: 'migrations',
            describe: "the other host's --migrations --format json, to compare with",
          })
          .option('format', tableOrJson),
      async argv => {
        if (argv.check) {
          if (argv.guest === undefined || argv.pool || argv.migrations)
            throw new ActualnetError('USAGE', '--check is about one guest, and nothing else');
          const { checkGuestCommand } = await import('../cli/hotplug.ts');
          return checkGuestCommand({ guest: argv.guest, format: argv.format, host: await hotplugging() }, io);
        }
        if (argv.migrations) {
          if (argv.pool || argv.guest !== undefined)
            throw new ActualnetError('USAGE', '--migrations is about all guests, and no pool');
          const { migrationsCommand } = await import('../cli/migrations.ts');
          return migrationsCommand({ format: argv.format, peer: argv.peer, memory }, io);
        }
        if (argv.pool && argv.guest !== undefined)
          throw new ActualnetError('USAGE', '--pool is about all guests, so it takes no guest');
        if (argv.pool) {
          const { poolCommand } = await import('../cli/pool.ts');
          const sources = {
            effects: ownEffects(paths, Date.now),
            ...deviceSources(paths, memory),
            keptByLibvirt: () => listKeptByLibvirt(paths),
          };
          return poolCommand({ format: argv.format, ...sources }, io);
        }
        const { statusCommand } = await import('../cli/status.ts');
        const { guest, format } = argv;
        const problem = await configProblem();
        const effects = ownEffects(paths, Date.now);
        statusCommand({ guest, format, memory, problem, effects, ...(await lookForWitness()) }, io);
      },
    )
    .command(attachModule(hotplugging, io))
    .command(detachModule(hotplugging))
    .command('agent', "follows the guests' run states until it is ended: the service", {}, async () => {
      const { runAgent } = await import('./agent.ts');
      await runAgent(paths);
    })
    .command(
      'vfs [pf]',
      'makes the VFs that the configuration provides, as a network start does',
      y => y.positional('pf', { type: 'string', describe: 'only those of this PF' }),
      async argv => {
        const { vfsCommand } = await import('../cli/vfs.ts');
        const { config, effects } = await planningContext();
        await vfsCommand({ pf: argv.pf, config, effects }, io);
      },
    )
    .command(
      'check',
      'every mistake in the configuration',
      y =>
        y.option('format', { choices: ['text', 'json'] as const, default: 'text' as const, describe: 'output format' }),
      async argv => {
        const { checkCommand } = await import('../cli/check.ts');
        const files = { files: readConfigFiles(paths), unread: listUnreadConfigFiles(paths) };
        if (!(await checkCommand({ ...files, format: argv.format }, io))) process.exitCode = 1;
      },
    )
    .demandCommand(1, 'a command is needed')
    .strict()
    .fail((message, error) => {
      throw error ?? new ActualnetError('USAGE', unmarked(message), { hint: "see 'actualnet --help'" });
    })
    .parseAsync();
}

try {
  await main();
} catch (cause) {
  const error = asActualnetError(cause);
  process.stderr.write(`${errorLine(error)}\n`);
  process.exitCode = error.code === 'USAGE' ? 2 : 1;
}
