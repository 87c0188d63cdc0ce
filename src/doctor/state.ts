import type { HostFacts } from './facts.ts';
import type { Finding } from './finding.ts';

/** Our own files, the configuration, the agent and the clock. */
export function examineState(facts: HostFacts): Finding[] {
  return [...examineFiles(facts), ...examineConfig(facts), ...examineAgent(facts), ...examineClock(facts)];
}

function examineFiles(facts: HostFacts): Finding[] {
  const findings: Finding[] = facts.stateProblems.map(what => ({
    code: 'STATE_UNUSABLE',
    what,
    why: 'guests that need what is remembered there are refused, or not undone',
    fix: `see who made it so, then: chown -R root:root ${facts.stateDirectory} && chmod 700 ${facts.stateDirectory}`,
  }));
  for (const { directory, free, kind } of facts.room)
    if (free < 0.01)
      findings.push({
        code: 'DISK_FULL',
        what: `there is hardly any ${kind === 'space' ? 'space' : 'inode'} left below ${directory} (${(free * 100).toFixed(1)} %)`,
        why: 'nothing can be written into a ledger, so starts that change the host are refused',
        fix: `make room: du -xah ${directory} | sort -h | tail shows where it went`,
      });
  if (facts.staleGuests.length > 0)
    findings.push({
      code: 'STALE_RECORD',
      what: `something is recorded of guests that do not run: ${facts.staleGuests.slice(0, 5).join(', ')}`,
      why: 'what was applied for them may still be, and their devices count as taken',
      fix: 'actualnet recover',
    });
  if (facts.unfinished.length > 0)
    findings.push({
      code: 'UNFINISHED',
      what: `an attach or detach has not finished: ${facts.unfinished.slice(0, 5).join(', ')}`,
      why: "what it had begun is settled only when the agent or 'recover' looks",
      fix: 'actualnet recover',
    });
  if (facts.drift.length > 0)
    findings.push({
      code: 'DRIFT',
      what: `the host does not show what is applied: ${facts.drift.slice(0, 5).join(', ')}${facts.drift.length > 5 ? ` and ${facts.drift.length - 5} more` : ''}`,
      why: 'somebody else has changed it, or an object was made anew',
      fix: "actualnet verify GUEST, then 'actualnet reachable' or a new start of the guest",
    });
  return findings;
}

function examineConfig({ configProblem, unreadConfigFiles }: HostFacts): Finding[] {
  const findings: Finding[] = unreadConfigFiles.map(file => ({
    code: 'CONFIG_UNREAD',
    what: `${file} is not read: only config.yaml and conf.d/*.yaml are`,
    why: 'what it asks for is not done',
    fix: 'rename it to conf.d/NAME.yaml, or remove it',
  }));
  if (configProblem === undefined) return findings;
  const why = 'the last configuration without a mistake goes on; without one no guest can start';
  return [{ code: 'CONFIG_MISTAKE', what: configProblem, why, fix: 'actualnet check' }, ...findings];
}

function examineAgent(facts: HostFacts): Finding[] {
  const { agent, agentEnabled, hooks, runningGuests, configProblem } = facts;
  const builtMs = Math.max(0, ...hooks.flatMap(({ own }) => (own === undefined ? [] : own.builtMs)));
  if (agent === undefined) {
    // Without a configuration there is nothing to follow.
    const asksForNothing = facts.isPassive || configProblem !== undefined || facts.followedGuests === 0;
    if (runningGuests === 0 || asksForNothing) return enabled(facts);
    const what = `nobody follows the ${runningGuests} guests that run`;
    const why = 'their addresses are not opened and closed with their CPUs';
    return [{ code: 'AGENT_MISSING', what, why, fix: 'systemctl enable --now actualnet-agent' }];
  }
  if (agent.startedMs < builtMs)
    return [
      {
        code: 'AGENT_OLD',
        what: `the ${agent.role} (process ${agent.pid}) runs since before the program was installed that hooks run`,
        why: 'it goes on by the rules of before',
        fix: 'systemctl restart actualnet-agent',
      },
    ];
  return agentEnabled === undefined || agent.role === 'agent' ? enabled(facts) : [];
}

function enabled({ agentEnabled, hooks, agent }: HostFacts): Finding[] {
  if (agentEnabled !== false || agent?.role !== 'agent' || hooks.length === 0) return [];
  return [
    {
      code: 'AGENT_NOT_ENABLED',
      what: 'the agent runs, and will not after a reboot',
      why: 'guests that start at boot are not followed by it',
      fix: 'systemctl enable actualnet-agent',
    },
  ];
}

/** Later than any release of this program, and a slack for clocks that differ. */
const earliestMs = Date.UTC(2025, 0, 1);
const slackMs = 60_000;

function examineClock({ nowMs, newestMs }: HostFacts): Finding[] {
  if (nowMs >= earliestMs && newestMs <= nowMs + slackMs) return [];
  const what =
    nowMs < earliestMs
      ? `the clock says ${new Date(nowMs).toISOString()}`
      : `our files speak of ${new Date(newestMs).toISOString()}, which is still to come`;
  const why = 'the gap of a migration, and what is older than what, is told by the clock';
  return [{ code: 'CLOCK', what, why, fix: 'timedatectl set-ntp true' }];
}
