// How is a small value printed in the least time? By joining strings, as most replies of a monitor are some ten bytes
// long; gathering bytes (ascii-output.ts) pays for itself only with larger ones.
import { NEEDS_ESCAPE } from './ascii-output.ts';
import { shapeOf } from './shape.ts';
import { JsonDouble, type JsonOutput } from './value.ts';

/** Longer strings are quicker to copy than to join. */
const LONGEST = 64;
/** The most members worth joining. */
const MOST_MEMBERS = 8;

/** The compact text of a scalar, or of a plain object of a few; undefined for whatever takes more to print. */
export function shortText(value: JsonOutput): string | undefined {
  if (typeof value !== 'object' || value === null) return shortScalar(value);
  if (Array.isArray(value) || value instanceof Map || value instanceof JsonDouble) return undefined;
  return shortDict(value as Readonly<Record<string, JsonOutput | undefined>>);
}

function shortScalar(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return value.length <= LONGEST && !NEEDS_ESCAPE.test(value) ? `"${value}"` : undefined;
    case 'number':
      return Number.isSafeInteger(value) ? String(value) : undefined;
    case 'boolean':
      return value ? 'true' : 'false';
    default:
      return undefined;
  }
}

function shortDict(dict: Readonly<Record<string, JsonOutput | undefined>>): string | undefined {
  const members = shapeOf(dict);
  if (members.length > MOST_MEMBERS) return undefined;
  let text = '';
  for (const member of members) {
    const value = dict[member.name];
    if (value === undefined) continue;
    const printed = shortScalar(value);
    if (printed === undefined) return undefined;
    text += (text === '' ? member.firstText : member.laterText) + printed;
  }
  return text === '' ? '{}' : `${text}}`;
}
