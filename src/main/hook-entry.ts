import { answerHook, deliver } from './hook.ts';

answerHook(process.argv.slice(2)).then(deliver);
