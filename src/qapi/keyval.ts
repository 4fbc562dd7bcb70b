// What does `key=value,key.sub=value,list.0=value` mean? QEMU's option syntax for options that a QAPI type describes
// (--blockdev, --export, --nbd-server, --monitor, --object): text in, objects and lists of strings out. What the strings
// mean is for the type to say: visitKeyval().
//
// Options of the older kind (--chardev, --add-fd) are in qemu-opts.ts.
import type { JsonObject, JsonValue } from '../json/index.ts';
import { optionSyntax, type QapiError } from './qapi-error.ts';

/** The longest name of a member, in bytes. */
const longestName = 127;

/** A QAPI name at the start of a text: a vendor's begins with `__` and its domain. */
const qapiName = /^(?:__[A-Za-z0-9.-]*_)?[A-Za-z][A-Za-z0-9_-]*/;
const listIndex = /^[0-9]+/;

/**
 * Reads option text into nested objects and lists whose leaves are strings. `,,` stands for a comma in a value.
 *
 * @param impliedKey the key of a first value that stands without one
 * @throws QapiError with QEMU's text
 */
export function parseKeyval(text: string, impliedKey?: string): JsonObject {
  const { members, help } = parseKeyvalOrHelp(text, impliedKey);
  if (help) throw optionSyntax('help', 'Help is not available for this option');
  return members;
}

/** {@link parseKeyval} for an option that has help: says whether a word of the text asks for it. */
export function parseKeyvalOrHelp(text: string, impliedKey?: string): { members: JsonObject; help: boolean } {
  const root: JsonObject = new Map();
  let help = false;
  let implied = impliedKey;
  for (let at = 0; at < text.length; implied = undefined) {
    const keyEnd = endOfKey(text, at);
    const bare = text.slice(at, keyEnd);
    if (text[keyEnd] !== '=' && isHelp(bare)) {
      help = true;
      at = keyEnd + 1;
    } else if (text[keyEnd] !== '=' && bare !== '' && implied !== undefined) {
      root.set(implied, bare);
      at = keyEnd + 1;
    } else {
      at = parseParameter(text, at, keyEnd, root);
    }
  }
  return { members: listify(root, '') as JsonObject, help };
}

/** Whether a word asks for help, as QEMU's options understand it. */
export function isHelp(word: string): boolean {
  return word === 'help' || word === '?';
}

/** Where a key, or a word without one, ends: at `=`, at `,` or at the end. */
export function endOfKey(text: string, at: number): number {
  let end = at;
  while (end < text.length && text[end] !== '=' && text[end] !== ',') end++;
  return end;
}

/** The value at a place, `,,` resolved, and where the next parameter begins. */
export function readValue(text: string, at: number): { value: string; next: number } {
  let end = at;
  while (end < text.length && (text[end] !== ',' || text[end + 1] === ',')) end += text[end] === ',' ? 2 : 1;
  return { value: text.slice(at, end).replaceAll(',,', ','), next: end + 1 };
}

/** Puts `a.b.c=value` into the objects it names; returns where the next parameter begins. */
function parseParameter(text: string, start: number, keyEnd: number, root: JsonObject): number {
  const key = text.slice(start, keyEnd);
  const fragments = splitKey(key);
  if (text[keyEnd] !== '=') throw optionSyntax(key, `Expected '=' after parameter '${key}'`);
  const last = fragments.pop()!;
  let target = root;
  let path = '';
  for (const fragment of fragments) {
    path = path === '' ? fragment : `${path}.${fragment}`;
    target = childObject(target, fragment, path);
  }
  const { value, next } = readValue(text, keyEnd + 1);
  if (target.get(last) instanceof Map) throw inconsistent(key);
  target.set(last, value);
  return next;
}

/** The names and list indices between the dots; the first is never an index. */
function splitKey(key: string): string[] {
  const fragments: string[] = [];
  let at = 0;
  do {
    const rest = key.slice(at);
    const fragment = ((at > 0 && listIndex.exec(rest)) || qapiName.exec(rest))?.[0] ?? '';
    const end = at + fragment.length;
    if (fragment === '' || (end < key.length && key[end] !== '.')) {
      throw optionSyntax(key, `Invalid parameter '${key}'`);
    }
    if (fragment.length > longestName) {
      const kind = fragment === key ? 'Parameter' : 'Parameter fragment';
      throw optionSyntax(fragment, `${kind} '${fragment}' is too long`);
    }
    fragments.push(fragment);
    at = end + 1;
  } while (at <= key.length);
  return fragments;
}

function childObject(parent: JsonObject, name: string, path: string): JsonObject {
  const known = parent.get(name);
  if (known instanceof Map) return known;
  if (known !== undefined) throw inconsistent(path);
  const child: JsonObject = new Map();
  parent.set(name, child);
  return child;
}

function inconsistent(path: string): QapiError {
  return optionSyntax(path, `Parameters '${path}.*' used inconsistently`);
}

/** Makes lists of the objects whose keys are indices. `path` is '' or ends with a dot. */
function listify(object: JsonObject, path: string): JsonValue {
  let indices = 0;
  for (const [key, value] of object) {
    if (value instanceof Map) object.set(key, listify(value, `${path}${key}.`));
    if (listIndex.test(key)) indices++;
  }
  if (indices === 0) return object;
  if (indices < object.size) throw inconsistent(path.slice(0, -1));
  return toList(object, path);
}

/** `00` and `0` are the same index; then the later one wins. */
function toList(object: JsonObject, path: string): JsonValue[] {
  const elements = new Map<number, JsonValue>();
  let count = 0;
  for (const [key, value] of object) {
    const index = Number(key);
    elements.set(index, value);
    count = Math.max(count, index + 1);
  }
  const list: JsonValue[] = [];
  for (let index = 0; index < count; index++) {
    const element = elements.get(index);
    if (element === undefined) throw optionSyntax(`${path}${index}`, `Parameter '${path}${index}' missing`);
    list.push(element);
  }
  return list;
}
