import { readDomain } from '../model/domain.ts';
import { errorLine, printable } from '../report/error.ts';
import { formatTable } from '../report/table.ts';
import { jsonText } from '../report/visible.ts';
import { describeActual } from '../resolve/actual.ts';
import { type InterfaceResolution, type NetworkLookup, resolveGuest } from '../resolve/guest.ts';
import { definitionRefusals } from '../resolve/validate.ts';
import type { LibvirtVersion } from '../resolve/version.ts';
import { type GuestView, viewGuest } from '../transform/guest-view.ts';
import { checkHostdevs } from '../transform/hostdevs.ts';
import { editsToStarted } from '../transform/started.ts';
import { applyEdits } from '../xml/edit.ts';
import type { CommandIo } from './io.ts';
import { readNetworkFiles } from './network-files.ts';

export interface ResolveOptions {
  readonly domain: string;
  readonly network: readonly string[];
  readonly networksDir: string | undefined;
  readonly libvirtVersion: () => LibvirtVersion;
  readonly format: 'table' | 'json' | 'xml';
  /** Networks of this host, asked only when none are given. */
  readonly hostNetworks: NetworkLookup;
}

/** `actualnet resolve`: what each interface of a guest will be here, under which alias, and why. */
export function resolveCommand(options: ResolveOptions, io: CommandIo): void {
  const document = io.readDocument(options.domain);
  const domain = readDomain(document);
  const isGiven = options.network.length > 0 || options.networksDir !== undefined;
  const given = isGiven
    ? readNetworkFiles({ named: options.network, directory: options.networksDir }, io)
    : { find: options.hostNetworks, networks: [], problems: [] };
  const findNetwork = given.find;
  const resolutions = resolveGuest(domain, { findNetwork, version: options.libvirtVersion });
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
      .flatMap(network => definitionRefusals(network, options.libvirtVersion())),
    ...checkHostdevs(view),
    ...given.problems,
  ].map(printable);
  io.write(options.format === 'json' ? jsonText({ ...view, warnings }) : table(view, resolutions, warnings));
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
  return [
    `guest ${printable(view.domain.name)}`,
    '',
    formatTable(['ALIAS', 'MAC', 'CONFIGURED', 'ACTUAL'], [...rows, ...hostdevs]),
    ...(reasons.length === 0 ? [] : ['', ...reasons]),
    ...(warnings.length === 0 ? [] : ['', ...warnings.map(warning => `warning: ${warning}`)]),
    '',
  ].join('\n');
}
