// What QEMU was sent goes through the streamer and the request checks; the error replies must have QEMU's bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { JsonParseError, JsonStreamer, type JsonValue } from '../../src/json/index.ts';
import { encodeError, encodeReturn, parseRequest, QmpRequestError, type QmpRequest } from '../../src/qmp/index.ts';
import { raw, steps, writes, type Step } from '../json/transcripts.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

/** One connection, up to where a command would be run. */
class Session {
  oob = false;
  pretty = false;
  #answers: (string | QmpRequest)[] = [];
  readonly #streamer = new JsonStreamer((value) => this.#answers.push(this.#answer(value)));

  /** For each value in the bytes: the error reply, or the request. */
  receive(bytes: Uint8Array, chunk: number): (string | QmpRequest)[] {
    this.#answers = [];
    for (let i = 0; i < bytes.length; i += chunk) this.#streamer.push(bytes.subarray(i, i + chunk));
    return this.#answers;
  }

  #answer(value: JsonValue | JsonParseError): string | QmpRequest {
    const options = { pretty: this.pretty };
    if (value instanceof JsonParseError) return encodeError(value.errorClass, value.message, undefined, options);
    try {
      const request = parseRequest(value, this);
      if (request.command === 'qmp_capabilities') this.#negotiate(request);
      return request;
    } catch (error) {
      if (!(error instanceof QmpRequestError)) throw error;
      return encodeError(error.errorClass, error.message, error.id, options);
    }
  }

  #negotiate(request: QmpRequest): void {
    const enable = request.arguments?.get('enable');
    if (Array.isArray(enable) && enable.every((name) => name === 'oob') && enable.length > 0) this.oob = true;
  }
}

/** The server's messages, one per line (or per closing brace in the first column, when pretty). */
function messages(text: string, pretty: boolean): string[] {
  const all = pretty ? text.split(/(?<=^\}\r\n)/m) : text.split(/(?<=\r\n)/);
  return all.filter((message) => message !== '' && !/^\{(\r\n +)?"(timestamp|QMP)"/.test(message));
}

function replay(topic: string, chunk: number): number {
  let sessions = new Map<string, Session>();
  let pretty = false;
  let errors = 0;
  for (const step of steps(topic)) {
    if (step.scenario !== undefined) {
      sessions = new Map();
      pretty = step['monitor-options']?.includes('pretty=on') ?? false;
      continue;
    }
    const name = step.connect ?? step.conn ?? 'a';
    if (step.connect !== undefined || !sessions.has(name)) sessions.set(name, new Session());
    const session = sessions.get(name) as Session;
    session.pretty = pretty;
    const answers = writes(step).flatMap((bytes) => session.receive(bytes, chunk));
    if (step.raw === undefined && writes(step).length > 0) continue; // a long one, recorded without its bytes
    errors += compare(step, answers, messages(raw(step), pretty), pretty);
  }
  return errors;
}

/** Compares what can be known without running commands; returns how many error replies were compared. */
function compare(step: Step, answers: (string | QmpRequest)[], recorded: string[], pretty: boolean): number {
  const about = step.note ?? step.send ?? JSON.stringify(step).slice(0, 200);
  assert.equal(answers.length, recorded.length, about);
  let errors = 0;
  answers.forEach((answer, i) => {
    if (typeof answer === 'string') {
      errors++;
      assert.equal(answer, recorded[i], about);
      return;
    }
    assert.doesNotMatch(recorded[i] as string, /"desc": "(JSON |QMP input)/, about);
    const message = recorded[i] as string;
    const empty = encodeReturn(message.includes('"return": [') ? [] : {}, answer.id, { pretty });
    if (/^\{\s*"return": (\{\s*\}|\[\s*\])/.test(message)) assert.equal(empty, message, about);
    const unknown = encodeError('CommandNotFound', `The command ${answer.command} has not been found`, answer.id);
    if (message.includes('has not been found') && !pretty) assert.equal(unknown, message, about);
  });
  return errors;
}

for (const topic of ['json-errors', 'envelope', 'framing', 'negotiation']) {
  for (const chunk of [1 << 30, 7, 1]) {
    test(`errors in what is sent have QEMU's bytes: ${topic}, in chunks of ${chunk}`, () => {
      assert.ok(replay(topic, chunk) > 0);
    });
  }
}
