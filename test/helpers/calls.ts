import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** One recorded hook call. */
export interface RecordedCall {
  readonly label: string;
  readonly host: string;
  readonly driver: 'qemu' | 'network';
  readonly object: string;
  readonly operation: string;
  readonly words: readonly string[];
  readonly stdin: Buffer;
}

/** The calls in a folder of sample documents, `NN-DRIVER-OBJECT-OPERATION.xml`. */
export function sampleCalls(directory: string): RecordedCall[] {
  return readdirSync(directory)
    .sort()
    .map(file => {
      const [, driver, object, operation] = /^\d+-(qemu|network)-([a-z0-9]+)-(.*)\.xml$/.exec(file)!;
      const words = [object!, operation!, ['stopped', 'release'].includes(operation!) ? 'end' : 'begin', '-'];
      const stdin = readFileSync(path.join(directory, file));
      return { label: file, host: 'A', driver: driver as 'qemu', object: object!, operation: operation!, words, stdin };
    });
}

/** Where recordings of real libvirt lie beside the project, on machines that have them. */
export const sharedDirectory = path.resolve(import.meta.dirname, '../../../shared');
export const hasShared = existsSync(sharedDirectory);

/** The qemu and network calls of one recorded scenario, in order. */
export function recordedCalls(scenario: string): RecordedCall[] {
  const directory = path.join(sharedDirectory, 'captures', scenario);
  return readdirSync(directory)
    .filter(entry => /^\d+-/.test(entry))
    .sort()
    .flatMap(entry => {
      const call = JSON.parse(readFileSync(path.join(directory, entry, 'call.json'), 'utf8'));
      if (call.hook !== 'qemu' && call.hook !== 'network') return [];
      const stdin = readFileSync(path.join(directory, entry, 'stdin.xml'));
      const { host, hook: driver, object, op: operation } = call;
      return [{ label: `${scenario}/${entry}`, host, driver, object, operation, words: call.argv.slice(1), stdin }];
    });
}

export function recordedScenarios(): string[] {
  const directory = path.join(sharedDirectory, 'captures');
  return readdirSync(directory, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)
    .sort();
}
