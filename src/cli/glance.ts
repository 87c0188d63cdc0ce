import { foldRecord } from '../guest/record.ts';
import { printable } from '../report/error.ts';
import type { ExitStatus } from './exit-status.ts';
import type { CommandHost } from './host.ts';

/** `actualnet` alone: whether it is installed and followed, who runs, what is wrong, and what to do next. */
export async function glance(host: CommandHost): Promise<ExitStatus> {
  const { memory, io } = host;
  const hooks = host.installedHooks();
  const problem = await host.configProblem();
  const { agentState, unseen } = await host.agent();
  const guests = memory.listRecords().flatMap(uuid => foldRecord(uuid, memory.readRecord(uuid)) ?? []);
  const findings = guests.reduce((sum, { findings: own }) => sum + own.length, 0);
  const open = agentState?.guests.filter(({ done }) => done === 'open').length ?? 0;
  const agent = agentState === undefined ? 'does not run' : `the ${agentState.role} runs (process ${agentState.pid})`;
  const rows: [string, string][] = [
    ['hooks', hooks.length === 0 ? 'not installed' : hooks.join(', ')],
    ['agent', unseen ?? agent],
    ['guests', `${guests.length} recorded${agentState === undefined ? '' : `, ${open} open to the network`}`],
    ['findings', findings === 0 ? 'none' : String(findings)],
    ['configuration', problem ?? 'is in order'],
  ];
  const wide = Math.max(...rows.map(([what]) => what.length)) + 2;
  io.write(rows.map(([what, found]) => `${printable(`${what.padEnd(wide)}${found}`)}\n`).join(''));
  io.write(
    `\nnext: ${nextStep({ isInstalled: hooks.length > 0, problem, isFollowed: agentState !== undefined, findings, guests: guests.length })}\n`,
  );
  return 0;
}

/** The command that makes most sense now. */
function nextStep(state: {
  readonly isInstalled: boolean;
  readonly problem: string | undefined;
  readonly isFollowed: boolean;
  readonly findings: number;
  readonly guests: number;
}): string {
  if (!state.isInstalled) return "'actualnet install' puts the hooks in place; 'actualnet --help' lists all commands";
  if (state.problem !== undefined) return "'actualnet check' names every mistake of the configuration";
  if (state.findings > 0) return "'actualnet status' shows what was found";
  if (!state.isFollowed) return "'systemctl enable --now actualnet-agent' follows guests from now on";
  if (state.guests === 0) return "start a guest; 'actualnet resolve DOMAIN.xml' tells before what it will be";
  return "'actualnet status' shows the guests, 'actualnet --help' lists all commands";
}
