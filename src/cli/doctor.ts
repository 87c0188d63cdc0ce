import { examine } from '../doctor/examine.ts';
import type { HostFacts } from '../doctor/facts.ts';
import { printable } from '../report/error.ts';
import { jsonText } from '../report/visible.ts';
import { defineCommand, formatOption } from './command.ts';

/** `actualnet doctor`: what is wrong on this host, why it matters and what mends it. Changes nothing. */
export const command = defineCommand({
  words: 'doctor',
  builder: y =>
    y
      .option('hooks', {
        type: 'boolean',
        default: false,
        describe: 'shows every hook that libvirt calls, in its order',
      })
      .option('format', formatOption),
  examples: [['doctor', 'one line if all is well; otherwise what, why, and the command that mends it; ends with 3']],
  documentation: 'docs/doctor.md',
  async run({ format, hooks }, { io, doctorFacts }) {
    const facts = await doctorFacts();
    const findings = examine(facts);
    const { notAsked } = facts;
    const others = chainOf(facts).filter(({ isOwn, executable }) => !isOwn && executable);
    if (format === 'json') io.write(jsonText({ findings, hooks: chainOf(facts), notAsked }));
    else {
      if (hooks)
        io.write(
          chainOf(facts)
            .map(each => `${printable(lineOf(each))}\n`)
            .join(''),
        );
      const told = findings.flatMap(({ code, what, why, fix }) => [
        `${what} [${code}]`,
        `  why: ${why}`,
        `  fix: ${fix}`,
      ]);
      io.write(
        [...told, ...notAsked.map(what => `not looked at: ${what}`)].map(line => `${printable(line)}\n`).join(''),
      );
      if (findings.length === 0)
        io.write(`${notAsked.length === 0 ? 'this host is in order' : 'nothing wrong was found'}${besideUs(others)}\n`);
    }
    // A host that could not be looked at as a whole has not been found in order.
    return findings.length > 0 ? 3 : notAsked.length === 0 ? 0 : 1;
  },
});

/** Somebody else's hooks are no fault, and worth knowing: what they do comes on top. */
function besideUs(others: readonly Link[]): string {
  return others.length === 0 ? '' : `; libvirt also calls ${others.map(({ file }) => printable(file)).join(', ')}`;
}

interface Link {
  readonly driver: string;
  readonly file: string;
  readonly executable: boolean;
  readonly isOwn: boolean;
  readonly checksum: string;
}

function chainOf({ hooks }: HostFacts): Link[] {
  return hooks.map(({ driver, file, executable, own, checksum }) => {
    return { driver, file, executable, isOwn: own !== undefined, checksum };
  });
}

function lineOf({ driver, file, executable, isOwn, checksum }: Link): string {
  const whose = isOwn ? 'actualnet' : "somebody else's";
  return `${driver}: ${file}: ${whose}, sha256 ${checksum}${executable ? '' : ', not executable: passed over'}`;
}
