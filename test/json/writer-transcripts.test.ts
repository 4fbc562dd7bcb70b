// Every message that QEMU was recorded to send is parsed and printed again: the bytes must be the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isJsonObject, JsonParseError, JsonStreamer, writeJson, type JsonValue } from '../../src/json/index.ts';
import { checkOpenFds } from '../open-fds.ts';
import { raw, steps, topics } from './transcripts.ts';

checkOpenFds();

/** Members that share a bucket are printed last first, so what was printed has to be taken in backwards. */
function backwards(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(backwards);
  if (!isJsonObject(value)) return value;
  const members = [...value].map(([name, member]): [string, JsonValue] => [name, backwards(member)]);
  return new Map(members.reverse());
}

/** Parses QEMU's output and prints it again; how many messages, and the text. `inf` is no JSON and has to be spelt out. */
function reprint(text: string, pretty: boolean): { messages: number; text: string } {
  let messages = 0;
  let printed = '';
  const streamer = new JsonStreamer((value) => {
    if (value instanceof JsonParseError) throw value;
    messages++;
    printed += `${writeJson(backwards(value), { pretty })}\r\n`;
  });
  streamer.push(Buffer.from(text, 'latin1'));
  return { messages, text: printed };
}

for (const topic of topics()) {
  test(`what QEMU sent is printed with the same bytes: ${topic}`, () => {
    let pretty = false;
    let messages = 0;
    for (const step of steps(topic)) {
      if (step.scenario !== undefined) pretty = step['monitor-options']?.includes('pretty=on') ?? false;
      for (const recorded of [step, ...Object.values(step.variants ?? {})]) {
        const text = raw(recorded);
        const again = reprint(text.replaceAll(/: (-?)inf\b/g, ': $11e400'), pretty);
        assert.equal(again.text, text, step.note ?? step.send);
        messages += again.messages;
      }
    }
    assert.ok(messages > 0);
  });
}
