import { hostEffects } from '../../src/host/effects.ts';
import { World } from '../helpers/world.ts';
import { PretendedCards, type PretendedPf } from './pretended-cards.ts';

/** A host with pretended cards. */
export class CardWorld extends World {
  readonly cards: PretendedCards;

  constructor(config: string, pfs: readonly PretendedPf[]) {
    super(config);
    this.cards = new PretendedCards(this.root, pfs);
  }

  override effects() {
    return hostEffects(this.paths, () => this.nowMs, this.cards.programs);
  }
}
