// QEMU's JSON dialect: bytes of a stream in, values out, and values in, QEMU's very bytes out. Pure, no I/O.
//
// Read streamer.ts first; it shows how lexer.ts (tokens) and parser.ts (values) work together. Integers are exact over
// int64 and uint64. Where QEMU reports an error the same bytes give the same text here, at the same byte, however the
// stream is cut into chunks. Sources: RFC 8259; the transcripts in test/fixtures.
export { JsonStreamer, type JsonValueHandler } from './streamer.ts';
export { composeJson, writeJson, type JsonWriter, type WriteJsonOptions } from './writer.ts';
export { parseJson } from './parse-json.ts';
export { isJsonObject, JsonDouble, JsonParseError } from './value.ts';
export type { JsonObject, JsonOutput, JsonValue } from './value.ts';
export { inQemuOrder, modifiedUtf8 } from './member-order.ts';
export { DEFAULT_JSON_LIMITS, type JsonLimits } from './limits.ts';
