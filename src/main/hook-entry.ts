import { answerHook, deliver } from './hook.ts';

deliver(answerHook(process.argv.slice(2)));
