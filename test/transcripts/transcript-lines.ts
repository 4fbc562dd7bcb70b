// How does a transcript stand in its file? One JSON value per line, written as Python's json.dumps writes it, so that a
// line that nothing has changed keeps its bytes. Integers are exact.
import { isJsonObject, JsonDouble, type JsonObject, type JsonValue, parseJson } from '../../src/json/index.ts';

/** The lines of a file of transcripts. */
export function parseLines(text: string): JsonObject[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => parseJson(line) as JsonObject);
}

/** One line, with its end. */
export function formatLine(entry: JsonObject): string {
  return `${format(entry)}\n`;
}

function format(value: JsonValue): string {
  if (isJsonObject(value)) {
    const members = [...value].map(([name, member]) => `${formatString(name)}: ${format(member)}`);
    return `{${members.join(', ')}}`;
  }
  if (Array.isArray(value)) return `[${value.map(format).join(', ')}]`;
  if (typeof value === 'string') return formatString(value);
  if (value instanceof JsonDouble) return formatDouble(value.value);
  return String(value);
}

/** ASCII only, without DEL. */
function formatString(text: string): string {
  return JSON.stringify(text).replaceAll(/[\u007f-\uffff]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Python always has a point or an exponent, the latter from 1e16 on and below 1e-4, with two digits. */
function formatDouble(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
