import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ownEffects } from '../../src/main/effects.ts';
import { World } from '../helpers/world.ts';
import { FakeCards, type FakePf } from './fake-cards.ts';

/** A host with fake cards. */
export class CardWorld extends World {
  readonly cards: FakeCards;

  constructor(config: string, pfs: readonly FakePf[]) {
    super(config);
    this.cards = new FakeCards(this.root, pfs);
  }

  /** libvirt has put the state of a VF aside. */
  keptByLibvirt(name: string): void {
    mkdirSync(this.paths.libvirtHostdevState, { recursive: true });
    writeFileSync(path.join(this.paths.libvirtHostdevState, name), '{}');
  }

  override effects() {
    return ownEffects(this.paths, () => this.nowMs, this.cards.programs);
  }
}
