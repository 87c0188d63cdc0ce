import { ActualnetError } from '../../report/error.ts';

/** How often a wait is looked at. */
const tickMs = 50;
/** What a single wait still gets when the whole call has waited for long enough: enough to take back what was done. */
const graceMs = 1000;

export interface Wait {
  /** For the message: `'ip'`, `whoever has 'br7'`. */
  readonly what: string;
  readonly limitMs: number;
  /** Whether what is waited for has come nearer since this was last asked: then the wait begins anew. */
  readonly hasMoved?: () => boolean;
}

/**
 * How long somebody waits for others, one wait after the other. Only time is counted in which we could have gone on: where
 * so much runs that this process itself gets its turn late, everybody is slow and nobody is stuck.
 */
export class Patience {
  /** For all waits together; may be set once it is known. */
  limitMs: number;
  #spentMs = 0;

  constructor(limitMs: number) {
    this.limitMs = limitMs;
  }

  /** What `ended` comes to; throws `TIME_LIMIT` when that takes too long, and leaves it to itself. */
  wait<T>(ended: Promise<T>, { what, limitMs, hasMoved }: Wait): Promise<T> {
    return new Promise((resolve, reject) => {
      let ownMs = 0;
      let last = performance.now();
      const timer = setInterval(() => {
        const now = performance.now();
        const turnMs = Math.min(now - last, 2 * tickMs);
        last = now;
        if (hasMoved?.()) {
          this.#spentMs -= ownMs;
          ownMs = 0;
        }
        ownMs += turnMs;
        this.#spentMs += turnMs;
        const isLate = ownMs >= limitMs || (this.#spentMs >= this.limitMs && ownMs >= graceMs);
        if (!isLate) return;
        clearInterval(timer);
        const whole = ownMs < limitMs ? `, after ${seconds(this.#spentMs - ownMs)} of waiting before` : '';
        reject(new ActualnetError('TIME_LIMIT', `waited ${seconds(ownMs)} for ${what}${whole}`));
      }, tickMs);
      ended.finally(() => clearInterval(timer)).then(resolve, reject);
    });
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
