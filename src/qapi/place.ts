// Where in the arguments is a value? Objects and lists being visited, innermost first, for error texts only.

/** An object or a list that is being visited. */
export interface Place {
  readonly parent: Place | null;
  /** Its own name in its parent; null: it is an element of a list, or a root without a name. */
  readonly name: string | null;
  /** The element of the list that is being visited; -1: this is an object. */
  index: number;
}

/** How the elements of a list are written: `children[1]` for JSON, `children.1` on a command line. */
export type ElementStyle = (index: number) => string;
export const jsonElement: ElementStyle = (index) => `[${index}]`;
export const keyvalElement: ElementStyle = (index) => `.${index}`;

/** The whole path of a member or element, such as `actions[0].data.name`. */
export function fullName(name: string | null, place: Place | null, element: ElementStyle): string {
  let path = '';
  let own = name;
  for (let at = place; at; at = at.parent) {
    path = (at.index < 0 ? `.${own}` : element(at.index)) + path;
    own = at.name;
  }
  path = (own ?? '') + path;
  return path.startsWith('.') ? path.slice(1) : path || 'null';
}

/** The last component; elements of lists have none, which QEMU prints as `null`. */
export function lastName(name: string | null): string {
  return name ?? 'null';
}
