import type { Planning } from '../guest/context.ts';
import { guestContext } from '../guest/context.ts';
import { blockersOf } from '../guest/predict.ts';
import { type Domain, readDomain } from '../model/domain.ts';
import type { Uuid } from '../model/values.ts';
import { ActualnetError, type ErrorCode, errorLine, printable } from '../report/error.ts';
import { formatTable } from '../report/table.ts';
import { jsonText } from '../report/visible.ts';
import { describeActual } from '../resolve/actual.ts';
import { structureRefusals } from '../resolve/definition.ts';
import { type InterfaceResolution, type NetworkLookup, resolveGuest } from '../resolve/guest.ts';
import { findTeamFaults } from '../resolve/team.ts';
import { definitionRefusals } from '../resolve/validate.ts';
import { type LibvirtVersion, parseLibvirtVersion } from '../resolve/version.ts';
import type { ErrorView } from '../transform/error-view.ts';
import type { GuestView } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { editsToStarted } from '../transform/started.ts';
import { viewGuest } from '../transform/view-guest.ts';
import { applyEdits } from '../xml/edit.ts';
import { defineCommand, domainFile } from './command.ts';
import type { CommandIo } from './io.ts';
import { readNetworkFiles } from './network-files.ts';

export interface ResolveOptions {
  readonly domain: string;
  readonly network: readonly string[];
  readonly networksDir: string | undefined;
  readonly libvirtVersion: () => LibvirtVersion;
  readonly format: 'table' | 'json' | 'xml';
  /** Asked only when no networks are given: then it is about this host. */
  readonly thisHost: {
    readonly findNetwork: NetworkLookup;
    /** Whether a guest of that name runs: then its devices are its own. */
    readonly runs: (guest: string) => boolean;
    readonly planning: () => Promise<Planning>;
  };
}

/** `actualnet resolve`: what each interface of a guest will be here, under which alias, and why. */
export async function resolveCommand(options: ResolveOptions, io: CommandIo): Promise<void> {
  const document = io.readDocument(options.domain);
  const domain = readDomain(document, options.libvirtVersion);
  const isGiven = options.network.length > 0 || options.networksDir !== undefined;
  const given = isGiven
    ? readNetworkFiles({ named: options.network, directory: options.networksDir }, options.libvirtVersion, io)
    : { find: options.thisHost.findNetwork, networks: [], problems: [] };
  const resolved = resolveGuest(domain, { findNetwork: given.find, version: options.libvirtVersion });
  const predicted = isGiven ? nothing : await lookAtHost(domain, resolved, options);
  const resolutions = resolved.map((each, index) => ({ ...predicted.errors[index], ...each }));
  const view = viewGuest(domain, resolutions);
  if (options.format === 'xml') {
    io.write(applyEdits(document, editsToStarted(domain, view)).text);
    return;
  }
  const used = new Set(domain.interfaces.map(iface => iface.source.network));
  const warnings = [
    ...resolutions.flatMap(resolution => resolution.warnings.map(warning => `${resolution.iface.owner}: ${warning}`)),
    ...given.networks
      .filter(network => used.has(network.name))
      .flatMap(network => [
        ...structureRefusals(network, options.libvirtVersion()),
        ...definitionRefusals(network, options.libvirtVersion()),
      ]),
    ...checkHostdevs(view),
    ...predicted.warnings,
    ...findTeamFaults(domain),
    ...given.problems,
  ].map(printable);
  io.write(options.format === 'json' ? jsonText({ ...view, warnings }) : table(view, resolutions, warnings));
}

interface AtHost {
  /** By interface. */
  readonly errors: readonly { readonly error?: ActualnetError }[];
  readonly warnings: readonly string[];
}

const nothing: AtHost = { errors: [], warnings: [] };

/** A document may be looked at before libvirt has given it a uuid; nothing is kept of it. */
const nobody = '00000000-0000-0000-0000-000000000000' as Uuid;

/** What would be in the way if the guest were started here now, as its `prepare` would find it. */
async function lookAtHost(
  domain: Domain,
  resolutions: readonly InterfaceResolution[],
  { thisHost: { findNetwork, runs, planning } }: ResolveOptions,
): Promise<AtHost> {
  if (domain.form !== 'inactive' || runs(domain.name)) return nothing;
  try {
    const { config, effects, version } = await planning();
    const { uuid = nobody } = domain;
    const moment = { view: viewGuest(domain, resolutions) };
    const context = await guestContext({ ...domain, uuid }, { config, effects, findNetwork, version }, moment);
    const blockers = await blockersOf(context, { guest: domain.name, findNetwork, effects });
    const refusing = domain.interfaces.map((_, index) =>
      blockers.find(({ device, refuses }) => refuses && device === context.devices[index]),
    );
    const others = blockers.filter(blocker => !refusing.includes(blocker));
    return {
      errors: refusing.map(found => (found === undefined ? {} : { error: ownedBy(domain, found.error) })),
      warnings: others.map(({ error }) => errorLine(error)),
    };
  } catch (error) {
    return { ...nothing, warnings: [`this host was not looked at: ${errorLine(error)}`] };
  }
}

function ownedBy({ owner }: Domain, { code, message, hint }: ActualnetError): ActualnetError {
  return new ActualnetError(code, `${owner}, ${message}`, { hint });
}

function lineOfView({ code, message, hint }: ErrorView): string {
  return errorLine(new ActualnetError(code as ErrorCode, message, { hint: hint ?? undefined }));
}

function table(view: GuestView, resolutions: readonly InterfaceResolution[], warnings: readonly string[]): string {
  const rows = resolutions.map((resolution, index) => {
    const { mac, type, network, alias } = view.interfaces[index]!;
    const { actual, error } = resolution;
    const outcome = actual !== undefined ? describeActual(actual) : error === undefined ? '-' : `none: ${error.code}`;
    return [alias, mac ?? '-', network === null ? type : `${type} ${network}`, outcome];
  });
  const plain = view.hostdevs.filter(entry => entry.interface === null);
  const hostdevs = plain.map(({ alias, type, address }) => [alias, '-', `hostdev ${type}`, address ?? '-']);
  const reasons = resolutions.flatMap((resolution, index) => [
    `${printable(view.interfaces[index]!.alias)}:`,
    ...resolution.because.map(reason => `  ${printable(reason)}`),
    ...(resolution.error === undefined ? [] : [`  ${errorLine(resolution.error)}`]),
  ]);
  const refused = plain.flatMap(({ alias, error }) => (error ? [`${alias}:`, `  ${lineOfView(error)}`] : []));
  return [
    `guest ${printable(view.domain.name)}`,
    '',
    formatTable(['ALIAS', 'MAC', 'CONFIGURED', 'ACTUAL'], [...rows, ...hostdevs]),
    ...(reasons.length + refused.length === 0 ? [] : ['', ...reasons, ...refused]),
    ...(warnings.length === 0 ? [] : ['', ...warnings.map(warning => `warning: ${warning}`)]),
    '',
  ].join('\n');
}

/** `actualnet resolve`. */
export const command = defineCommand({
  words: 'resolve <domain>',
  builder: y =>
    y
      .positional('domain', domainFile)
      .option('network', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [] as string[],
        describe: 'network XML file (repeatable); without any, the networks of this host',
      })
      .option('networks-dir', { type: 'string', describe: 'directory of network XML files' })
      .option('libvirt-version', {
        type: 'string',
        describe: 'whose rules to apply, like 11.3.0; default: the one installed',
      })
      .option('format', {
        choices: ['table', 'json', 'xml'] as const,
        default: 'table' as const,
        describe: 'a table for people, JSON for programs, or the document as libvirt would show it once started',
      }),
  examples: [['resolve samples/web1.xml --networks-dir samples/networks', 'what each interface of the sample will be']],
  documentation: 'docs/concepts.md',
  async run({ domain, network, networksDir, libvirtVersion: given, format }, host) {
    const wanted = given === undefined ? undefined : parseLibvirtVersion(given);
    const libvirtVersion = () => wanted ?? host.libvirtVersion();
    const thisHost = { findNetwork: host.memory.findNetwork, runs: host.runs, planning: host.planning };
    await resolveCommand({ domain, network, networksDir, format, libvirtVersion, thisHost }, host.io);
    return 0;
  },
});
