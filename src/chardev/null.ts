// A character device that nobody is at the other end of. The smallest one: copy it for a new one.
import { type CharFrontend, FrontendSlot, type ListedChardev } from './chardev.ts';

/** Nothing comes from it, and what is written to it is gone: its frontend never hears of a client. */
export class NullChardev implements ListedChardev {
  readonly id: string;
  readonly inBandOnly = true;
  readonly filename = 'null';
  readonly #slot: FrontendSlot;

  constructor(id: string) {
    this.id = id;
    this.#slot = new FrontendSlot(id);
  }

  get attached(): boolean {
    return this.#slot.frontend !== undefined;
  }

  attach(frontend: CharFrontend): void {
    this.#slot.set(frontend);
  }

  close(): void {}
}
