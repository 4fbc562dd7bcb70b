// In which order are the members of a plain object printed, and with which bytes before each value? Objects of our own
// have few shapes, so that is worked out once for each.
import { AsciiOutput } from './ascii-output.ts';
import { inQemuOrder } from './member-order.ts';

/** A member as printed: its name, and the bytes before its value where it is the first that has one, or a later one. */
export interface ShapeMember {
  readonly name: string;
  readonly first: Uint8Array;
  readonly later: Uint8Array;
  /** The same as text. */
  readonly firstText: string;
  readonly laterText: string;
}

interface Shape {
  readonly names: readonly string[];
  readonly members: readonly ShapeMember[];
}

/** What a peer has named comes as a Map and has no shape; these bounds are for handlers that make up names. */
const MOST_SHAPES = 2048;
const MOST_SHAPES_PER_FIRST_NAME = 16;
const shapesByFirstName = new Map<string | undefined, Shape[]>();
let shapes = 0;
let latest: Shape = { names: [], members: [] };
let lastButOne = latest;

/** The members of a plain object in QEMU's order. */
export function shapeOf(dict: object): readonly ShapeMember[] {
  // A list has objects of one shape, and these perhaps have objects of another.
  if (!hasNames(dict, latest.names)) {
    const found = hasNames(dict, lastButOne.names) ? lastButOne : findShape(dict);
    lastButOne = latest;
    latest = found;
  }
  return latest.members;
}

/** Whether an object has just these names, in this order. To go over them in place is cheaper than an array of them. */
function hasNames(dict: object, names: readonly string[]): boolean {
  let count = 0;
  for (const name in dict) if (name !== names[count++]) return false;
  return count === names.length;
}

function findShape(dict: object): Shape {
  const names = Object.keys(dict);
  const candidates = shapesByFirstName.get(names[0]);
  if (candidates !== undefined) {
    for (let i = 0; i < candidates.length; i++) {
      if (sameNames(candidates[i]!.names, names)) return candidates[i]!;
    }
  }
  return addShape(names, candidates);
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function addShape(names: readonly string[], candidates: Shape[] | undefined): Shape {
  const shape = { names, members: inQemuOrder(names).map(member) };
  if (shapes < MOST_SHAPES && (candidates?.length ?? 0) < MOST_SHAPES_PER_FIRST_NAME) {
    shapes++;
    if (candidates === undefined) shapesByFirstName.set(names[0], [shape]);
    else candidates.push(shape);
  }
  return shape;
}

function member(name: string): ShapeMember {
  const firstText = prefix('{', name);
  const laterText = prefix(', ', name);
  const [first, later] = [Buffer.from(firstText, 'latin1'), Buffer.from(laterText, 'latin1')];
  return { name, first, later, firstText, laterText };
}

function prefix(separator: string, name: string): string {
  const out = new AsciiOutput();
  out.ascii(separator);
  out.quoted(name);
  out.ascii(': ');
  return out.take();
}
