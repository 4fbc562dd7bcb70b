// What does an option that a QAPI type describes say? JSON where its text begins with `{`, else keyval syntax.
import { parseJson } from '../json/index.ts';
import { parseKeyval } from './keyval.ts';
import type { Infer, QapiType } from './types.ts';
import { visit, visitKeyval } from './visitor.ts';

/**
 * Reads the argument of an option such as --blockdev.
 *
 * @param impliedKey the key of a first value that stands without one
 * @throws QapiError or JsonParseError with QEMU's text
 */
export function visitOption<const T extends QapiType>(type: T, text: string, impliedKey?: string): Infer<T> {
  return text.startsWith('{') ? visit(type, parseJson(text)) : visitKeyval(type, parseKeyval(text, impliedKey));
}
