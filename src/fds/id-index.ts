// Which set has this id, in which order do they come, and which id is the lowest that none has?
//
// One sorted array in chunks answers all three, in a few hundred nanoseconds with 100,000 sets. A Map would not do: V8
// keeps the place of a deleted key in its hash chain, so that adding and removing the same id (which is what "the
// lowest that is free" leads to) walks over thousands of dead entries: 100 µs with 19,000 sets, measured on Node 20.
import type { Int64 } from './int64.ts';

const chunkSize = 256;

/** Things with ids, each id at most once. */
export class IdIndex<T extends { readonly id: Int64 }> {
  /** Ascending, none of them empty. */
  readonly #chunks: T[][] = [];
  /** Every id below this one is taken. */
  #taken = 0;

  get(id: Int64): T | undefined {
    const chunk = this.#chunks[this.#chunkOf(id)];
    const item = chunk?.[placeOf(chunk, id)];
    return item?.id === id ? item : undefined;
  }

  /** Adds an item whose id no other has. */
  add(item: T): void {
    const index = this.#chunkOf(item.id);
    const chunk = this.#chunks[index];
    if (chunk === undefined) {
      this.#chunks.push([item]);
      return;
    }
    const place = placeOf(chunk, item.id);
    if (chunk.length < chunkSize) {
      chunk.splice(place, 0, item);
    } else if (place === chunkSize) {
      // Ids mostly come in order: so the full chunk stays full.
      this.#chunks.splice(index + 1, 0, [item]);
    } else {
      this.#chunks.splice(index + 1, 0, chunk.splice(chunkSize / 2));
      this.add(item);
    }
  }

  /** Takes out the item with this id, if there is one. */
  delete(id: Int64): void {
    const index = this.#chunkOf(id);
    const chunk = this.#chunks[index];
    if (chunk === undefined) return;
    const place = placeOf(chunk, id);
    if (chunk[place]?.id !== id) return;
    if (chunk.length > 1) chunk.splice(place, 1);
    else this.#chunks.splice(index, 1);
    if (id < this.#taken) this.#taken = Number(id);
  }

  /** All items, by descending id. */
  descending(): T[] {
    const all: T[] = [];
    for (const chunk of this.#chunks) all.push(...chunk);
    return all.reverse();
  }

  /** The lowest id from 0 on that no item has. */
  lowestFree(): number {
    let index = this.#chunkOf(this.#taken);
    let chunk = this.#chunks[index];
    let place = chunk === undefined ? 0 : placeOf(chunk, this.#taken);
    // Over chunks without a gap; the next one begins with a higher id if this one ends with a gap.
    while (chunk?.[place]?.id === this.#taken) {
      this.#taken += runLength(chunk, place);
      chunk = this.#chunks[++index];
      place = 0;
    }
    return this.#taken;
  }

  /** Where an id belongs: the last chunk that begins with it or a lower one, else the first. */
  #chunkOf(id: Int64): number {
    let low = 0;
    let high = this.#chunks.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#chunks[middle]?.[0]?.id ?? 0) <= id) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** How many items of a chunk have lower ids. */
function placeOf(chunk: readonly { readonly id: Int64 }[], id: Int64): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chunk[middle]?.id ?? 0) < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many items from a place on have consecutive ids? Never none: behind a gap every id is too high for its place. */
function runLength(chunk: readonly { readonly id: Int64 }[], place: number): number {
  const offset = Number(chunk[place]?.id) - place;
  let low = place + 1;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (chunk[middle]?.id === offset + middle) low = middle + 1;
    else high = middle;
  }
  return low - place;
}
