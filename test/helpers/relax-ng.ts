import { existsSync } from 'node:fs';
import { execaSync } from 'execa';

const schemas = '/usr/share/libvirt/schemas';
const hasXmllint = execaSync('xmllint', ['--version'], { reject: false }).exitCode === 0;

/** libvirt's own schema for domains; undefined on a machine without libvirt's schemas or xmllint. */
export const domainSchema = hasXmllint && existsSync(`${schemas}/domain.rng`) ? `${schemas}/domain.rng` : undefined;

export function isValid(schema: string, document: string | Uint8Array): boolean {
  const { exitCode } = execaSync('xmllint', ['--noout', '--nonet', '--relaxng', schema, '-'], {
    input: document,
    reject: false,
  });
  if (exitCode !== 0 && exitCode !== 3) throw new Error(`xmllint ended with ${exitCode}`);
  return exitCode === 0;
}
