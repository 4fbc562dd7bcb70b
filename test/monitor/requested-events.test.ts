import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestedEvents } from '../../src/monitor/requested-events.ts';
import { event, str } from '../../src/qapi/index.ts';

const happened = event('X_HAPPENED', { data: { what: str } });

/** A session that keeps what it is told. */
function sink(pretty = false): { readonly pretty: boolean; readonly texts: string[]; sendEvent(text: string): void } {
  const texts: string[] = [];
  return { pretty, texts, sendEvent: (text) => texts.push(text) };
}

test('only those who asked for a topic are told of it, each in its own format', () => {
  const events = new RequestedEvents();
  const [asked, pretty, other] = [sink(), sink(true), sink()];
  events.request('x-topic', asked, true);
  events.request('x-topic', pretty, true);
  events.request('x-other', other, true);
  events.send('x-topic', happened, { what: 'it' });
  assert.match(asked.texts.join(), /^\{"timestamp": .*, "event": "X_HAPPENED", "data": \{"what": "it"\}\}\r\n$/);
  assert.match(pretty.texts.join(), /^\{\r\n {4}"timestamp"/);
  assert.deepEqual(other.texts, []);
});

test('asking twice is asking once, and who has asked may ask no more', () => {
  const events = new RequestedEvents();
  const asked = sink();
  for (const on of [true, true, false]) {
    events.request('x-topic', asked, on);
    events.send('x-topic', happened, { what: String(on) });
  }
  assert.equal(asked.texts.length, 2);
  assert.equal(events.isRequested('x-topic'), false);
  events.request('x-never', asked, false);
  assert.equal(events.isRequested('x-never'), false);
});

test('a session that is gone leaves nothing behind', () => {
  const events = new RequestedEvents();
  const [gone, stays] = [sink(), sink()];
  for (const topic of ['x-one', 'x-two']) events.request(topic, gone, true);
  events.request('x-two', stays, true);
  events.forget(gone);
  assert.deepEqual([events.isRequested('x-one'), events.isRequested('x-two')], [false, true]);
});
