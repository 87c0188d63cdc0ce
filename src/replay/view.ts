import type { HostView, Needs, PciDevice } from '../kernel/host-view.ts';
import { ActualnetError } from '../report/error.ts';
import type { Answers } from './recorded.ts';

/** Members that take a PF and a VF's number; the others take one word or none. */
const ofTwo: ReadonlySet<string> = new Set<keyof HostView>(['vf', 'keptByLibvirt']);

/** The same view; what is asked of it and what it answers is noted. */
export function notingView(view: HostView, needs: Needs, answers: Answers): HostView {
  const tables: readonly string[] = [...(needs.fdb ? ['fdb'] : []), ...(needs.vlans ? ['vlans'] : [])];
  const members = Object.entries(view).map(([name, member]: [string, unknown]) => {
    if (typeof member !== 'function') {
      if ((name !== 'fdb' && name !== 'vlans') || tables.includes(name)) note(answers, name, member);
      return [name, member];
    }
    // Whoever hands a member to a list's methods gives it more than it takes.
    const question = (words: readonly unknown[]) => [name, ...words.slice(0, ofTwo.has(name) ? 2 : 1)].join(' ');
    return [name, (...words: unknown[]) => note(answers, question(words), member(...words))];
  });
  return Object.fromEntries(members) as HostView;
}

/** Keeps an answer, and gives it. */
export function note<T>(answers: Answers, question: string, is: T): T {
  answers[question] = is === undefined ? {} : { is };
  return is;
}

/** More questions than any call asks. */
const maxQuestions = 200_000;

/** Finds answers that were noted; questions that were not asked then are noted, and answered with nothing. */
export class Recollection {
  readonly unasked = new Set<string>();
  readonly #views: readonly Answers[];
  readonly #drivers = new Map<string, string | null>();
  #questions = 0;
  #looks = 0;

  constructor(views: readonly Answers[]) {
    this.#views = views;
  }

  /** The host as it was at the next look. What was not asked at that look is answered by an earlier one, else by a later one. */
  view(needs: Needs): HostView {
    this.#looks++;
    const place = Math.min(this.#looks, this.#views.length - 1);
    const order = [...this.#views.slice(0, place + 1).reverse(), ...this.#views.slice(place + 1)];
    const find = <T>(question: string, otherwise: T): T => this.answer(order, question, otherwise) as T;
    return {
      link: dev => find(`link ${dev}`, undefined),
      fdb: needs.fdb ? find('fdb', []) : [],
      vlans: needs.vlans ? find('vlans', []) : [],
      pci: address => {
        const device = find<PciDevice | undefined>(`pci ${address}`, undefined);
        const driver = this.#drivers.get(address);
        return device === undefined || driver === undefined ? device : { ...device, driver, netdevs: [] };
      },
      pfs: () => find('pfs', []),
      hasPci: find('hasPci', false),
      hasLinks: find('hasLinks', false),
      addresses: dev => find(`addresses ${dev}`, []),
      isWayOut: dev => find(`isWayOut ${dev}`, false),
      vf: (pf, vf) => find(`vf ${pf} ${vf}`, undefined),
      keptByLibvirt: (pf, vf) => find(`keptByLibvirt ${pf} ${vf}`, false),
      unmanaged: pf => find(`unmanaged ${pf}`, false),
      driver: address => find(`driver ${address}`, null),
      assignee: address => find(`assignee ${address}`, undefined),
      holders: address => find(`holders ${address}`, []),
      holdersOfMacvtap: dev => find(`holdersOfMacvtap ${dev}`, []),
    };
  }

  /** A device has another driver from now on, which it had not then: whether it has is looked at within the same call. */
  bind(address: string, driver: string | null): void {
    this.#drivers.set(address, driver);
  }

  answer(places: readonly Answers[], question: string, otherwise: unknown): unknown {
    if (++this.#questions > maxQuestions)
      throw new ActualnetError('TIME_LIMIT', 'the call asks more of the host than any call does');
    const found = places.find(answers => Object.hasOwn(answers, question));
    if (found === undefined) this.unasked.add(question);
    return found === undefined ? otherwise : found[question]?.is;
  }
}
