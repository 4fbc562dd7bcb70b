// What does a quoted value say? "…" is a JSON string, '…' is taken as it stands.
import { JsonParseError, parseJson } from '../json/index.ts';

/** The text inside the quotes; undefined where the value is not quoted, or badly. */
export function unquote(text: string): string | undefined {
  if (text.length < 2 || text.at(-1) !== text[0]) return undefined;
  if (text.startsWith("'")) return text.slice(1, -1);
  if (!text.startsWith('"')) return undefined;
  try {
    const value = parseJson(text);
    return typeof value === 'string' ? value : undefined;
  } catch (error) {
    if (error instanceof JsonParseError) return undefined;
    throw error;
  }
}
