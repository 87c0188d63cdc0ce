import { defineCommand } from './command.ts';

/** `actualnet agent`: the service. */
export const command = defineCommand({
  words: 'agent',
  examples: [['agent', 'runs until it is ended; systemctl enable --now actualnet-agent starts it at every boot']],
  documentation: 'docs/run-state.md',
  async run(_, { runAgent }) {
    await runAgent();
    return 0;
  },
});
