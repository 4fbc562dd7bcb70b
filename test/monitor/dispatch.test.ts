import assert from 'node:assert/strict';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Dispatcher, type InLine } from '../../src/monitor/dispatch.ts';
import { checkOpenFds } from '../open-fds.ts';
import { EMPTY_RETURN, request, ServedMonitors } from './served-monitor.ts';

checkOpenFds();

suite('the line of in-band commands', () => {
  /** A session with that many requests waiting, which notes each start. */
  function waiting(name: string, count: number, starts: string[]): InLine {
    return {
      takeTurn: () => {
        starts.push(name);
        return --count > 0;
      },
    };
  }

  test('serves the sessions in turn, one request each', () => {
    const dispatcher = new Dispatcher();
    const starts: string[] = [];
    dispatcher.hold();
    dispatcher.join(waiting('a', 3, starts));
    dispatcher.join(waiting('b', 1, starts));
    dispatcher.join(waiting('c', 2, starts));
    assert.deepEqual(starts, []);
    dispatcher.release();
    assert.deepEqual(starts, ['a', 'b', 'c', 'a', 'c', 'a']);
  });

  test('skips a session that has left', () => {
    const dispatcher = new Dispatcher();
    const starts: string[] = [];
    const gone = waiting('gone', 1, starts);
    dispatcher.hold();
    dispatcher.join(gone);
    dispatcher.join(waiting('b', 1, starts));
    dispatcher.leave(gone);
    dispatcher.release();
    assert.deepEqual(starts, ['b']);
  });

  test('starts nothing once it is stopped', () => {
    const dispatcher = new Dispatcher();
    const starts: string[] = [];
    dispatcher.hold();
    dispatcher.join(waiting('a', 1, starts));
    dispatcher.stop();
    dispatcher.release();
    assert.equal(dispatcher.free, false);
    assert.deepEqual(starts, []);
  });
});

suite('several monitors', () => {
  let served: ServedMonitors;
  beforeEach(() => {
    served = new ServedMonitors(2);
  });
  afterEach(() => served.close());

  test('run one in-band command at a time', async () => {
    const [one, other] = [await served.connect(0), await served.connect(1)];
    one.send(request('x-block', { name: 'a' }));
    while (!served.isBlocked('a')) await sleep(1);
    other.send(request('query-jobs'));
    await sleep(60);
    assert.deepEqual(other.take(), []);
    served.unblock('a');
    assert.equal(await one.read(1), EMPTY_RETURN);
    assert.equal(await other.read(1), '{"return": []}\r\n');
  });

  test('take turns when both have requests waiting', async () => {
    const [one, other] = [await served.connect(0), await served.connect(1)];
    const happen = (name: string): string => request('x-happen', { name });
    one.send(request('x-block', { name: 'a' }) + happen('one 1') + happen('one 2'));
    while (!served.isBlocked('a')) await sleep(1);
    other.send(happen('other 1') + happen('other 2'));
    await sleep(30);
    served.unblock('a');
    const names = [...(await one.read(7)).matchAll(/"name": "(\w+ \d)"/g)].map(([, name]) => name);
    assert.deepEqual(names, ['one 1', 'other 1', 'one 2', 'other 2']);
    await other.read(6);
  });

  test('share the fd sets but not the names of getfd', async () => {
    const [one, other] = [await served.connect(0), await served.connect(1)];
    one.send(request('getfd', { fdname: 'n' }), [0]);
    assert.equal(await one.read(1), EMPTY_RETURN);
    other.send(request('closefd', { fdname: 'n' }));
    assert.match(await other.read(1), /File descriptor named 'n' not found/);
    one.send(request('add-fd', { 'fdset-id': 4 }), [0]);
    await one.read(1);
    other.send(request('query-fdsets'));
    assert.match(await other.read(1), /^\{"return": \[\{"fds": \[\{"fd": \d+\}\], "fdset-id": 4\}\]\}\r\n$/);
  });
});
