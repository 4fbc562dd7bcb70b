import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

import { type ExportFacts, Handshake, type HandshakeAction, MAX_OPTIONS } from '../../src/nbd/handshake.ts';
import { hex } from './hex.ts';

const OPT = "'IHAVEOPT'";
const REP = '0003e889045565a9';
const FLAGS = '00000003';
const STRUCTURED = `${OPT} 00000008 00000000`;

const x: ExportFacts = {
  name: 'x',
  description: 'hello',
  size: 0x100000,
  flags: 0xd6d,
  blockSizes: { minimum: 1, preferred: 4096, maximum: 0x2000000 },
};
const aligned: ExportFacts = {
  name: 'al',
  size: 0x200,
  flags: 0x50f,
  blockSizes: { minimum: 512, preferred: 4096, maximum: 0x2000000 },
};
const exports = new Map([x, aligned].map((facts) => [facts.name, facts]));
const directory = { find: (name: string) => exports.get(name), all: () => exports.values() };

type Action = HandshakeAction<ExportFacts>;

function start(): Handshake<ExportFacts> {
  return new Handshake(directory);
}

function drain(handshake: Handshake<ExportFacts>): Action[] {
  const actions: Action[] = [];
  for (let action = handshake.next(); action !== undefined; action = handshake.next()) actions.push(action);
  return actions;
}

/** What the server does when a client sends this at once. */
function talk(text: string): Action[] {
  const handshake = start();
  handshake.feed(hex(text));
  return drain(handshake);
}

function lastAnswer(text: string): string {
  const action = talk(text).at(-1);
  assert.equal(action?.do, 'send');
  return action.bytes.toString('hex');
}

function answers(option: string, expected: string): void {
  assert.equal(lastAnswer(`${FLAGS} ${option}`), hex(expected).toString('hex'));
}

function closes(text: string, reason: RegExp): void {
  const action = talk(text).at(-1);
  assert.equal(action?.do, 'close');
  assert.match(action.reason, reason);
}

suite('greeting and client flags', () => {
  test('the server says NBDMAGIC, IHAVEOPT, fixed newstyle and no zeroes', () => {
    assert.deepEqual(start().greeting(), hex("'NBDMAGICIHAVEOPT' 0003"));
  });

  test('nothing happens before the client flags are complete', () => {
    assert.deepEqual(talk('000000'), []);
    assert.deepEqual(talk(FLAGS), []);
  });

  test('unknown client flags close the connection', () => closes('00000004', /Unknown client flags 0x4/));
  test('the highest client flag is shown unsigned', () => closes('80000000', /0x80000000/));

  test('a client without fixed newstyle may only name an export', () => {
    closes(`00000000 ${OPT} 00000003 00000000`, /Unsupported option 3/);
    assert.equal(talk(`00000000 ${OPT} 00000001 00000001 'x'`)[0]?.do, 'transmit');
  });

  test('a bad option magic closes the connection', () => closes(`${FLAGS} 'IHAVEOPX' 00000003 00000000`, /magic/));
});

suite('EXPORT_NAME', () => {
  test('a known name is answered with size and flags', () => {
    const [action] = talk(`${FLAGS} ${OPT} 00000001 00000001 'x'`);
    assert.equal(action?.do, 'transmit');
    assert.deepEqual(action.bytes, hex('0000000000100000 0d6d'));
    assert.deepEqual(action.session, { export: x, structuredReplies: false, blockStatus: false, alignment: 1 });
  });

  test('a client without NO_ZEROES gets 124 of them', () => {
    const [action] = talk(`00000001 ${OPT} 00000001 00000001 'x'`);
    assert.deepEqual(action?.bytes, Buffer.concat([hex('0000000000100000 0d6d'), Buffer.alloc(124)]));
  });

  test('after structured replies the flags have DF', () => {
    const action = talk(`${FLAGS} ${STRUCTURED} ${OPT} 00000001 00000001 'x'`).at(-1);
    assert.deepEqual(action?.bytes, hex('0000000000100000 0ded'));
  });

  test('an unknown name closes', () => closes(`${FLAGS} ${OPT} 00000001 00000002 'no'`, /export not found/));
  test('a name that is no UTF-8 closes', () => closes(`${FLAGS} ${OPT} 00000001 00000001 ff`, /export not found/));
  test('a name of 4097 bytes closes unread', () => closes(`${FLAGS} ${OPT} 00000001 00001001`, /Bad length/));
});

suite('LIST and ABORT', () => {
  test('LIST names every export with its description', () => {
    answers(
      `${OPT} 00000003 00000000`,
      `${REP} 00000003 00000002 0000000a 00000001 'xhello'
       ${REP} 00000003 00000002 00000006 00000002 'al'
       ${REP} 00000003 00000001 00000000`,
    );
  });

  test('LIST with data is invalid', () => {
    const text = "option 'list' has unexpected length";
    const expected = Buffer.concat([hex(`${REP} 00000003 80000003 00000023`), Buffer.from(text)]);
    assert.equal(lastAnswer(`${FLAGS} ${OPT} 00000003 00000001 00`), expected.toString('hex'));
  });

  test('ABORT is acknowledged, with data too, and closes', () => {
    for (const data of ['00000000', "00000001 'x'"]) {
      const [action] = talk(`${FLAGS} ${OPT} 00000002 ${data}`);
      assert.equal(action?.do, 'close');
      assert.deepEqual(action.bytes, hex(`${REP} 00000002 00000001 00000000`));
    }
  });
});

suite('INFO and GO', () => {
  const description = (option: string) => `${REP} ${option} 00000003 00000007 0002 'hello'`;
  const blockSize = (option: string) => `${REP} ${option} 00000003 0000000e 0003 00000001 00001000 02000000`;
  const exportInfo = (option: string) => `${REP} ${option} 00000003 0000000c 0000 0000000000100000 0d6d`;
  const ack = (option: string) => `${REP} ${option} 00000001 00000000`;

  test('INFO tells description, block sizes, size and flags, and the handshake goes on', () => {
    const o = '00000006';
    answers(`${OPT} ${o} 00000007 00000001 'x' 0000`, description(o) + blockSize(o) + exportInfo(o) + ack(o));
  });

  test('GO answers the same and begins the transmission phase', () => {
    const o = '00000007';
    const [action] = talk(`${FLAGS} ${OPT} ${o} 00000007 00000001 'x' 0000`);
    assert.equal(action?.do, 'transmit');
    assert.deepEqual(action.bytes, hex(description(o) + blockSize(o) + exportInfo(o) + ack(o)));
  });

  test('the name comes only when asked for; information types that do not exist are ignored', () => {
    const o = '00000006';
    const name = `${REP} ${o} 00000003 00000003 0001 'x'`;
    const infos = '0003 0001 0003 0063';
    answers(
      `${OPT} ${o} 0000000d 00000001 'x' ${infos}`,
      name + description(o) + blockSize(o) + exportInfo(o) + ack(o),
    );
  });

  test('an unknown name is refused and the client may try another', () => {
    const [first, second] = talk(
      `${FLAGS} ${OPT} 00000007 00000008 00000002 'no' 0000 ${OPT} 00000007 00000007 00000001 'x' 0000`,
    );
    assert.equal(first?.do, 'send');
    assert.deepEqual(first.bytes, hex(`${REP} 00000007 80000006 00000017 'export ' 27 'no' 27 ' not present'`));
    assert.equal(second?.do, 'transmit');
  });

  test('a long unknown name is cut in the error text', () => {
    const name = 'n'.repeat(200);
    const option = Buffer.concat([hex(`${FLAGS} ${OPT} 00000006 000000ce 000000c8`), Buffer.from(`${name}\0\0`)]);
    const handshake = start();
    handshake.feed(option);
    const text = `export '${'n'.repeat(80)}...' not present`;
    assert.equal(handshake.next()?.bytes?.toString('latin1', 20), text);
  });

  for (const [what, data, text] of [
    ['no data', '00000000', 'Inconsistent lengths in option info'],
    ['half a length', '00000002 0000', 'Inconsistent lengths in option info'],
    ['a name longer than the data', "00000007 00000005 'x' 0000", 'Inconsistent lengths in option info'],
    ['no count', "00000005 00000001 'x'", 'Inconsistent lengths in option info'],
    ['fewer types than counted', "00000009 00000001 'x' 0002 0000", "option 'info' has unexpected length"],
    ['bytes behind the types', "00000008 00000001 'x' 0000 00", "option 'info' has unexpected length"],
    ['a name of 4097 bytes', '00000004 00001001', 'Invalid name length: 4097'],
    ['a name of 4 GiB', '00000006 ffffffff 0000', 'Invalid name length: 4294967295'],
    ['a name that is no UTF-8', '00000007 00000001 ff 0000', 'Name is not valid UTF-8'],
  ] as const) {
    test(`INFO with ${what} is invalid`, () => {
      const answer = Buffer.from(lastAnswer(`${FLAGS} ${OPT} 00000006 ${data}`), 'hex');
      assert.deepEqual(answer.subarray(0, 16), hex(`${REP} 00000006 80000003`));
      assert.equal(answer.toString('latin1', 20), text);
    });
  }

  test('an export that needs aligned requests tells so, or 1 to those who GO without asking', () => {
    const sizes = (text: string) => /0003(00000001|00000200)00001000/.exec(text)?.[1];
    const name = "00000002 'al'";
    const going = talk(`${FLAGS} ${OPT} 00000007 00000008 ${name} 0000`).at(-1);
    assert.equal(going?.do, 'transmit');
    assert.equal(sizes(going.bytes.toString('hex')), '00000001');
    assert.equal(going.session.alignment, 1);
    const asking = talk(`${FLAGS} ${OPT} 00000007 0000000a ${name} 0001 0003`).at(-1);
    assert.equal(asking?.do, 'transmit');
    assert.equal(sizes(asking.bytes.toString('hex')), '00000200');
    assert.equal(asking.session.alignment, 512);
    const info = lastAnswer(`${FLAGS} ${OPT} 00000006 00000008 ${name} 0000`);
    assert.equal(sizes(info), '00000200');
    assert.match(info, new RegExp(`${REP}0000000680000008`), 'ends with ERR_BLOCK_SIZE_REQD');
  });
});

suite('STRUCTURED_REPLY and STARTTLS', () => {
  test('structured replies are granted once', () => {
    answers(STRUCTURED, `${REP} 00000008 00000001 00000000`);
    answers(`${STRUCTURED} ${STRUCTURED}`, `${REP} 00000008 80000003 00000023 'structured reply already negotiated'`);
  });

  test('structured replies with data are invalid', () => {
    assert.match(lastAnswer(`${FLAGS} ${OPT} 00000008 00000001 00`), new RegExp(`^${REP}0000000880000003`));
  });

  test('TLS is refused by policy', () => {
    answers(`${OPT} 00000005 00000000`, `${REP} 00000005 80000002 00000012 'TLS not configured'`);
    assert.match(lastAnswer(`${FLAGS} ${OPT} 00000005 00000001 00`), new RegExp(`^${REP}0000000580000003`));
  });
});

suite('metadata contexts', () => {
  const allocation = "0000000f 'base:allocation'";
  const context = (option: string) => `${REP} ${option} 00000004 00000013 00000000 'base:allocation'`;
  const ack = (option: string) => `${REP} ${option} 00000001 00000000`;
  const list = '00000009';
  const set = '0000000a';

  test('LIST without queries, and with base:, names base:allocation', () => {
    answers(`${OPT} ${list} 00000009 00000001 'x' 00000000`, context(list) + ack(list));
    answers(`${OPT} ${list} 00000012 00000001 'x' 00000001 00000005 'base:'`, context(list) + ack(list));
  });

  test('LIST with other queries names nothing', () => {
    answers(`${OPT} ${list} 00000012 00000001 'x' 00000001 00000005 'qemu:'`, ack(list));
  });

  test('SET selects base:allocation, once however often it is asked for, and GO has it', () => {
    const option = `${OPT} ${set} 0000002f 00000001 'x' 00000002 ${allocation} ${allocation}`;
    answers(`${STRUCTURED} ${option}`, context(set) + ack(set));
    const go = talk(`${FLAGS} ${STRUCTURED} ${option} ${OPT} 00000007 00000007 00000001 'x' 0000`).at(-1);
    assert.equal(go?.do, 'transmit');
    assert.deepEqual(go.session, { export: x, structuredReplies: true, blockStatus: true, alignment: 1 });
  });

  test('SET with base:, or with nothing, selects nothing', () => {
    answers(`${STRUCTURED} ${OPT} ${set} 00000012 00000001 'x' 00000001 00000005 'base:'`, ack(set));
    answers(`${STRUCTURED} ${OPT} ${set} 00000009 00000001 'x' 00000000`, ack(set));
  });

  test('SET needs structured replies, LIST does not', () => {
    const text = "request option 'set meta context' when structured reply is not negotiated";
    const answer = lastAnswer(`${FLAGS} ${OPT} ${set} 0000001c 00000001 'x' 00000001 ${allocation}`);
    assert.equal(Buffer.from(answer, 'hex').toString('latin1', 20), text);
  });

  test('a selection for another export does not count', () => {
    const option = `${OPT} ${set} 0000001d 00000002 'al' 00000001 ${allocation}`;
    const go = talk(`${FLAGS} ${STRUCTURED} ${option} ${OPT} 00000007 00000007 00000001 'x' 0000`).at(-1);
    assert.equal(go?.do, 'transmit');
    assert.equal(go.session.blockStatus, false);
  });

  test('a SET that fails forgets the selection before it', () => {
    const good = `${OPT} ${set} 0000001c 00000001 'x' 00000001 ${allocation}`;
    const bad = `${OPT} ${set} 00000003 000000`;
    const go = talk(`${FLAGS} ${STRUCTURED} ${good} ${bad} ${OPT} 00000007 00000007 00000001 'x' 0000`).at(-1);
    assert.equal(go?.do, 'transmit');
    assert.equal(go.session.blockStatus, false);
  });

  test('malformed queries are invalid', () => {
    for (const data of [
      `0000001b 00000001 'x' 00000001 0000000f 'base:allocatio'`,
      `0000001d 00000001 'x' 00000001 ${allocation} 00`,
      `00000009 00000001 'x' ffffffff`,
      `0000000d 00000001 'x' 00000001 ffffffff`,
    ]) {
      const answer = lastAnswer(`${FLAGS} ${STRUCTURED} ${OPT} ${set} ${data}`);
      assert.match(answer, new RegExp(`^${REP}${set}80000003`));
    }
  });

  test('an unknown export is refused', () => {
    const answer = lastAnswer(`${FLAGS} ${OPT} ${list} 0000000a 00000002 'no' 00000000`);
    assert.match(answer, new RegExp(`^${REP}${list}80000006`));
  });
});

suite('options that are not understood', () => {
  test('an unknown option is unsupported and its data skipped', () => {
    const [first, second] = talk(`${FLAGS} ${OPT} 00000063 00000003 'abc' ${OPT} 00000002 00000000`);
    assert.equal(first?.do, 'send');
    assert.deepEqual(first.bytes, hex(`${REP} 00000063 80000001 00000021 'Unsupported option 99 (<unknown>)'`));
    assert.equal(second?.do, 'close');
  });

  test('the refusal waits until all data of the option has come', () => {
    const handshake = start();
    handshake.feed(hex(`${FLAGS} ${OPT} 00000063 00100000`));
    for (let sent = 0; sent < 0x100000; sent += 0x10000) {
      assert.deepEqual(drain(handshake), []);
      handshake.feed(Buffer.alloc(0x10000));
    }
    assert.equal(drain(handshake).length, 1);
  });

  test('an option longer than 64 KiB is too big', () => {
    const handshake = start();
    handshake.feed(hex(`${FLAGS} ${OPT} 00000007 00010001`));
    assert.deepEqual(drain(handshake), []);
    handshake.feed(Buffer.alloc(0x10001));
    const [action] = drain(handshake);
    assert.deepEqual(action?.bytes?.subarray(0, 16), hex(`${REP} 00000007 80000009`));
  });

  test('an option longer than 32 MiB closes', () => closes(`${FLAGS} ${OPT} 00000063 02000001`, /larger than max/));

  test('a client that only sends options is closed in the end', () => {
    const handshake = start();
    handshake.feed(hex(FLAGS));
    const options = hex(`${OPT} 00000005 00000000`);
    for (let count = 0; count < MAX_OPTIONS; count++) handshake.feed(options);
    assert.ok(drain(handshake).every((action) => action.do === 'send'));
    handshake.feed(options);
    assert.deepEqual(drain(handshake), [{ do: 'close', reason: 'Too many options' }]);
  });
});

test('it does not matter how the bytes are cut', () => {
  const text = `${FLAGS} ${STRUCTURED} ${OPT} 00000063 00000003 'abc'
    ${OPT} 0000000a 0000001c 00000001 'x' 00000001 0000000f 'base:allocation'
    ${OPT} 00000007 00000007 00000001 'x' 0000 25609513`;
  const whole = talk(text);
  assert.equal(whole.at(-1)?.do, 'transmit');
  const bytes = hex(text);
  for (const size of [1, 2, 3, 7, 19]) {
    const handshake = start();
    const actions: Action[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      handshake.feed(bytes.subarray(at, at + size));
      actions.push(...drain(handshake));
    }
    assert.deepEqual(actions, whole);
    assert.deepEqual(handshake.rest(), hex('25609513'));
  }
});
