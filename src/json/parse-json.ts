// What is the one value of a whole text? For JSON that is not a stream: on a command line, in a file name.
import { JsonStreamer } from './streamer.ts';
import { JsonParseError, type JsonValue } from './value.ts';

/**
 * The one value of a text, with the limits of a stream.
 * @throws JsonParseError with QEMU's text: of the first error, or for no value at all, or more than one.
 */
export function parseJson(text: string | Uint8Array): JsonValue {
  const values: JsonValue[] = [];
  let error: JsonParseError | undefined;
  const streamer = new JsonStreamer((value) => {
    if (values.length > 0) error ??= new JsonParseError('Expecting at most one JSON value');
    else if (value instanceof JsonParseError) error ??= value;
    else values.push(value);
  });
  streamer.push(typeof text === 'string' ? Buffer.from(text) : text);
  streamer.end();
  if (values.length === 0) error ??= new JsonParseError('Expecting a JSON value');
  if (error !== undefined) throw error;
  return values[0] as JsonValue;
}
