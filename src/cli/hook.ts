import type { HookDriver } from '../hook/phases.ts';
import { defineCommand } from './command.ts';

const drivers = ['qemu', 'network'] as const satisfies readonly HookDriver[];

/** `actualnet hook`: ends as the hook does, with what libvirt would be answered. */
export const command = defineCommand({
  words: 'hook <driver> <object> <operation> [sub-operation] [extra]',
  builder: y =>
    y
      .positional('driver', { choices: drivers, demandOption: true, describe: 'which of the two hooks' })
      .positional('object', { type: 'string', demandOption: true, describe: "the guest's or network's name" })
      .positional('operation', { type: 'string', demandOption: true, describe: "libvirt's operation, like prepare" })
      .positional('sub-operation', { type: 'string', default: '-', describe: 'begin or end' })
      .positional('extra', { type: 'string', default: '-', describe: 'what libvirt adds' }),
  examples: [['hook qemu web1 prepare begin - <web1.xml', 'the call that libvirt makes before web1 starts']],
  documentation: 'docs/phases.md',
  run: ({ driver, object, operation, subOperation, extra }, { answerHook, stdin }) =>
    answerHook([driver, object, operation, subOperation, extra].map(word => (word === stdin ? '-' : word))),
});
