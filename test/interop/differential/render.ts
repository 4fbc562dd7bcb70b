// Which bytes and fds does a burst send, in which writes? Everything that keeps the answers predictable is settled here:
//
//  - The last request has an id of its own, so that one knows when all is answered. Behind junk comes the byte 0xFF first,
//    which brings any parser back to the beginning.
//  - Behind junk the answers cannot be counted, and OOB answers overtake: such requests have ids of their own too.
//  - With OOB enabled QEMU may give a command the fd of a later one (docs/compatibility.md): fds go with single requests.
//  - After a blockdev-reopen for writing, which may leave QEMU in disorder (docs/decisions/block-layer.md), none follows.
//  - Before an fd's number is used, what may have given it to another fd is answered: the burst is parted there.
import type { Naming } from './naming.ts';
import type { Burst, Bytes, Item, Part, RequestItem } from './script.ts';

export interface Write {
  readonly bytes: Uint8Array;
  /** Indices of files. */
  readonly files: readonly number[];
}

/** A request whose outcome is counted. */
export interface Expected {
  readonly name: string;
  readonly fds: number;
  /** The id to find its answer by; undefined where its answer is the next in order. */
  readonly id: string | undefined;
  readonly oob: boolean;
}

export interface RenderedBurst {
  readonly writes: readonly Write[];
  /** The id of the last request, as JSON text. */
  readonly lastId: string;
  readonly expected: readonly Expected[];
  readonly junk: boolean;
}

export interface BurstState {
  /** Counts the bursts of a script. */
  readonly number: number;
  /** The client has just connected. */
  readonly fresh: boolean;
  readonly oob: boolean;
  readonly naming: Naming;
}

const HELLO = {
  negotiate: '{"execute":"qmp_capabilities"}',
  'negotiate-oob': '{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}',
  nothing: '',
};

/** A byte of junk can end two messages: with OOB enabled QEMU aborts where its queue has room for one. */
const OOB_JUNK = 3;

const SYNC: RequestItem = {
  kind: 'request',
  name: '',
  body: ['"execute":"query-version"'],
  which: 0,
  fds: [],
  fdsAt: 0,
};

/** Whether a burst may enable OOB on its connection. */
export function mayEnableOob({ hello, items }: Burst, fresh: boolean): boolean {
  const asks = (part: Part): boolean => typeof part === 'string' && part.includes('"oob"');
  const parts = items.flatMap((item) => (item.kind === 'junk' ? [item.bytes] : item.body));
  return (fresh && hello === 'negotiate-oob') || parts.some((part) => asks(part));
}

/** Whether a request may reopen a node for writing. */
export function reopensForWriting(item: Item): boolean {
  if (item.kind === 'junk' || item.name !== 'blockdev-reopen') return false;
  const text = item.body.filter((part) => typeof part === 'string').join('');
  return !/read-only["'][^a-z]*true/.test(text) || text.split('driver').length > 2;
}

/** The items of a burst in groups, each to be sent when the one before is answered. */
export function partItems(items: readonly Item[], oob: boolean): readonly Item[][] {
  const groups: Item[][] = [[]];
  let numbersChange = false;
  const part = (): void => {
    groups.push([]);
    numbersChange = false;
  };
  for (const item of items) {
    const isJunk = item.kind === 'junk';
    if (oob && isJunk && item.bytes.length > OOB_JUNK) continue;
    if (oob && isJunk) part();
    else if (numbersChange && !isJunk && item.body.some((text) => typeof text !== 'string')) part();
    groups.at(-1)!.push(item);
    numbersChange ||= isJunk || item.name === 'add-fd';
    if (oob && isJunk) part();
  }
  return groups.filter((group) => group.length > 0);
}

export function renderBurst(burst: Burst, state: BurstState): RenderedBurst {
  const junk = burst.items.some(({ kind }) => kind === 'junk');
  const last = burst.items.at(-1);
  const items = last?.kind === 'request' && last.oob !== true ? burst.items : [...burst.items, SYNC];
  const lastId = `"~${state.number}"`;
  const text = new BurstText(state.naming, state.oob && items.length + (state.fresh ? 1 : 0) > 1);
  const expected: Expected[] = [];
  if (state.fresh && burst.hello !== 'nothing') {
    text.add(HELLO[burst.hello]);
    expected.push({ name: 'qmp_capabilities', fds: 0, id: undefined, oob: false });
  }
  items.forEach((item, index) => {
    if (item.kind === 'junk') {
      text.addItem(item, item.bytes);
      return;
    }
    if (index === items.length - 1 && junk) text.add('\xff');
    const ownId = junk || item.oob === true ? `"~${state.number}.${index}"` : undefined;
    const id = index === items.length - 1 ? lastId : ownId;
    text.addItem(item, text.request(item, id ?? item.id));
    const { name, oob = false } = item;
    if (name !== '') expected.push({ name, fds: text.allowed(item.fds).length, id, oob });
  });
  return { writes: text.writes(burst.cuts), lastId, expected, junk };
}

/** The bytes of a burst while they are put together. */
class BurstText {
  readonly #naming: Naming;
  readonly #withoutFds: boolean;
  #text = '';
  readonly #files = new Map<number, readonly number[]>();

  constructor(naming: Naming, withoutFds: boolean) {
    this.#naming = naming;
    this.#withoutFds = withoutFds;
  }

  add(bytes: Bytes): void {
    this.#text += bytes;
  }

  allowed(fds: readonly number[]): readonly number[] {
    return this.#withoutFds ? [] : fds;
  }

  addItem(item: Item, bytes: Bytes): void {
    const fds = this.allowed(item.fds);
    if (fds.length > 0) this.#files.set(this.#text.length + Math.floor((item.fdsAt * bytes.length) / 1000), fds);
    this.#text += bytes;
  }

  request({ body, which }: RequestItem, id: Bytes | undefined): Bytes {
    let resolved: { set: string; fd: string } | undefined;
    const text = body.map((part) => {
      if (typeof part === 'string') return part;
      resolved ??= this.#naming.resolve(which);
      return resolved[part.ref];
    });
    const members = text.join('');
    if (id === undefined) return `{${members}}`;
    return members === '' ? `{"id":${id}}` : `{${members},"id":${id}}`;
  }

  /** The text in pieces: cut where wanted, and before each byte that fds go with. */
  writes(cuts: readonly number[]): Write[] {
    const text = this.#text;
    const places = new Set([0, ...this.#files.keys()]);
    for (const cut of cuts) places.add(Math.floor((cut * text.length) / 1000));
    const starts = [...places].sort((left, right) => left - right);
    return starts.map((start, index) => ({
      bytes: Buffer.from(text.slice(start, starts[index + 1]), 'latin1'),
      files: this.#files.get(start) ?? [],
    }));
  }
}
