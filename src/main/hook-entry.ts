import { grantAccess } from '../host/kernel/grant-access.ts';
import { answerHook, deliver } from './hook.ts';
import { thisHost } from './this-host.ts';

const [driver, guest = '', ...nodes] = process.argv.slice(2);
// What the hook itself leaves behind.
if (driver === 'grant-access') grantAccess(thisHost(), guest, nodes);
else if (driver === 'witness') import('./run-agent.ts').then(({ runOnDemandAgent }) => runOnDemandAgent(thisHost()));
// libvirt has its answer: whatever was left to itself is not waited for.
else
  answerHook(process.argv.slice(2))
    .then(deliver)
    .finally(() => process.exit());
