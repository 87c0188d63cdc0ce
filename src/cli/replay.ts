import type { ReplayedCall } from '../replay/played.ts';
import { ActualnetError, printable } from '../report/error.ts';
import { jsonText } from '../report/visible.ts';
import { defineCommand, formatOption } from './command.ts';

/** `actualnet replay`: recorded calls, answered again. */
export const command = defineCommand({
  words: 'replay <directory>',
  builder: y =>
    y
      .positional('directory', {
        type: 'string',
        demandOption: true,
        describe: 'directory of recorded calls, or one of its files',
      })
      .option('config', {
        type: 'string',
        describe: "a configuration file that counts in place of the recorded calls' own",
      })
      .option('format', formatOption),
  examples: [
    ['replay /var/tmp/calls', 'what each recorded call is answered now, and where that differs'],
    ['replay /var/tmp/calls --config new.yaml', 'what those calls would do with another configuration'],
  ],
  documentation: 'docs/replay.md',
  async run({ directory, config, format }, { io, replayCalls }) {
    const calls: ReplayedCall[] = [];
    for await (const call of replayCalls(directory, config === undefined ? undefined : io.readText(config))) {
      calls.push(call);
      if (format === 'table')
        io.write(
          linesOf(call)
            .map(line => `${printable(line)}\n`)
            .join(''),
        );
    }
    if (format === 'json') io.write(jsonText({ version: 1, calls }));
    const count = (result: ReplayedCall['result']) => calls.filter(call => call.result === result).length;
    const [differs, unreadable] = [count('differs'), count('unreadable')];
    if (unreadable > 0) throw new ActualnetError('FILE', `${unreadable} of ${calls.length} calls cannot be read`);
    if (format === 'table' && differs === 0)
      io.write(`${count('same')} of ${calls.length} calls are answered as then\n`);
    return differs > 0 ? 3 : 0;
  },
});

function linesOf(call: ReplayedCall): string[] {
  const { file, result, why, at, driver, object, operation, version, durationMs, missing = [], plan = [] } = call;
  const head =
    at === undefined ? `${file}: ` : `${at}  ${driver} '${object}' ${operation} (${durationMs} ms, by ${version}): `;
  const changes = plan.map(
    ({ what, why: reason, command, result: end }) =>
      `  ${what}: ${command} (${reason})${end === 'done' ? '' : `: ${end}`}`,
  );
  const differences = (call.differences ?? []).flatMap(({ what, before, now }) => [
    ...(before === null ? [] : [`  - ${what}: ${before}`]),
    ...(now === null ? [] : [`  + ${what}: ${now}`]),
  ]);
  const answered = call.answer?.stderr.trim() ? [`  refused: ${call.answer.stderr.trim()}`] : [];
  const rewritten = call.answer?.stdout ? ['  the document is rewritten'] : [];
  const left = missing.map(line => `  not kept: ${line}`);
  return [
    `${head}${result}${why === undefined ? '' : `: ${why}`}`,
    ...changes,
    ...rewritten,
    ...answered,
    ...left,
    ...differences,
  ];
}
