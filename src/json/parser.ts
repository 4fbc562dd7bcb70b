// What value do the tokens make? A state per place where a token may stand; the tree grows as the tokens come, and the
// first fault ends that: what follows is skipped.
//
// QEMU parses a value only when all of its tokens are there. The outcome is the same: the first syntax error wins, and
// nobody asks for it before the value is complete (which is for the streamer to say, see there).
import { LiteralFault } from './literal.ts';
import { JsonParseError, type JsonObject, type JsonValue } from './value.ts';

// What the next token may be. Up to DICT_VALUE a value may stand here.
const TOP = 0; // the value itself
const LIST_FIRST = 1; // an element or ]
const LIST_ITEM = 2; // an element
const DICT_FIRST = 3; // a key or }
const DICT_KEY = 4; // a key: any value parses, then it has to be a string
const DICT_VALUE = 5; // the value of the frame's key
const LIST_NEXT = 6; // , or ]
const DICT_COLON = 7; // :
const DICT_NEXT = 8; // , or }
const DONE = 9; // nothing: the value is whole
const FAULTY = 10; // anything: it is skipped

/** An open container and the place in it. Frames are kept and used again. */
class Frame {
  state = TOP;
  list: JsonValue[] = NO_LIST;
  dict: JsonObject = NO_DICT;
  /** The key whose value comes next. */
  key = '';

  release(): void {
    this.list = NO_LIST;
    this.dict = NO_DICT;
    this.key = '';
  }
}

const NO_LIST: JsonValue[] = [];
const NO_DICT: JsonObject = new Map();

/** Tokens in, one value out. */
export class JsonParser {
  /** The frame at the bottom stands for the value itself: its state is TOP, DONE or FAULTY. */
  readonly #frames: Frame[] = [new Frame()];
  #depth = 0;
  #top = this.#frames[0] as Frame;
  #value: JsonValue = null;
  #fault = '';

  /** Whether a value may stand here. Where it may not, that is a fault. */
  mayBeValue(): boolean {
    if (this.#top.state <= DICT_VALUE) return true;
    this.#refuse();
    return false;
  }

  /** A value that is a single token, where {@link mayBeValue}. */
  literal(value: JsonValue | LiteralFault): void {
    if (value instanceof LiteralFault) this.#fail(value.text);
    else this.value(value);
  }

  /** A value is complete, where {@link mayBeValue}. */
  value(value: JsonValue): void {
    const top = this.#top;
    switch (top.state) {
      case DICT_VALUE:
        if (top.dict.has(top.key)) {
          this.#fail('duplicate key');
        } else {
          top.dict.set(top.key, value);
          top.state = DICT_NEXT;
        }
        break;
      case DICT_FIRST:
      case DICT_KEY:
        if (typeof value === 'string') {
          top.key = value;
          top.state = DICT_COLON;
        } else {
          this.#fail('key is not a string in object');
        }
        break;
      case TOP:
        this.#value = value;
        top.state = DONE;
        break;
      default:
        top.list.push(value);
        top.state = LIST_NEXT;
    }
  }

  openList(): void {
    if (!this.mayBeValue()) return;
    const frame = this.#open();
    frame.list = [];
    frame.state = LIST_FIRST;
  }

  openDict(): void {
    if (!this.mayBeValue()) return;
    const frame = this.#open();
    frame.dict = new Map();
    frame.state = DICT_FIRST;
  }

  closeList(): void {
    const top = this.#top;
    if (top.state !== LIST_NEXT && top.state !== LIST_FIRST) return this.#refuse();
    const { list } = top;
    this.#close();
    this.value(list);
  }

  closeDict(): void {
    const top = this.#top;
    if (top.state !== DICT_NEXT && top.state !== DICT_FIRST) return this.#refuse();
    const { dict } = top;
    this.#close();
    this.value(dict);
  }

  colon(): void {
    if (this.#top.state === DICT_COLON) this.#top.state = DICT_VALUE;
    else this.#refuse();
  }

  comma(): void {
    if (this.#top.state === DICT_NEXT) this.#top.state = DICT_KEY;
    else if (this.#top.state === LIST_NEXT) this.#top.state = LIST_ITEM;
    else this.#refuse();
  }

  /** The value, or what is wrong with it. The parser begins anew. */
  take(): JsonValue | JsonParseError {
    const result = this.#top.state === DONE ? this.#value : this.#error();
    this.reset();
    return result;
  }

  /** Forgets what it has. */
  reset(): void {
    this.#unwind();
    this.#top.state = TOP;
    this.#value = null;
    this.#fault = '';
  }

  #error(): JsonParseError {
    return new JsonParseError(`JSON parse error, ${this.#fault === '' ? 'premature EOI' : this.#fault}`);
  }

  #open(): Frame {
    const frame = (this.#frames[++this.#depth] ??= new Frame());
    this.#top = frame;
    return frame;
  }

  #close(): void {
    this.#top.release();
    this.#top = this.#frames[--this.#depth] as Frame;
  }

  #unwind(): void {
    while (this.#depth > 0) this.#close();
  }

  /** A token that may not stand here. */
  #refuse(): void {
    const { state } = this.#top;
    if (state === LIST_NEXT) this.#fail('expected separator in list');
    else if (state === DICT_NEXT) this.#fail('expected separator in dict');
    else if (state === DICT_COLON) this.#fail('missing : in object pair');
    else if (state !== FAULTY) this.#fail('expecting value');
  }

  #fail(fault: string): void {
    this.#unwind();
    this.#top.state = FAULTY;
    this.#fault = fault;
  }
}
