import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QmpClient, type QmpEvent } from '../../src/client/index.ts';
import { ServedMonitors } from '../monitor/served-monitor.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

interface RemoveFd {
  'fdset-id': number | bigint;
  fd?: number;
}

interface Small {
  commands: {
    'query-status': { returns: { running: boolean; status: 'running' | 'paused' } };
    'remove-fd': { arguments: RemoveFd };
    'add-fd': { arguments: { 'fdset-id'?: number; opaque?: string }; returns: { 'fdset-id': number; fd: number } };
  };
  events: {
    STOP: Record<string, never>;
    X_HAPPENED: { name: string };
  };
}

/** Compiles or does not: the compiler is the judge. It is never run. */
async function typed(client: QmpClient<Small>): Promise<void> {
  const status = await client.execute('query-status');
  const running: boolean = status.running;
  // @ts-expect-error -- no such member
  void status.runing;
  const added = await client.execute('add-fd', undefined, { fds: [1] });
  const fd: number = added.fd;
  void client.execute('add-fd', { opaque: 'a' });
  // @ts-expect-error -- a wrong type
  void client.execute('add-fd', { opaque: 1 });
  // @ts-expect-error -- no such argument
  void client.execute('remove-fd', { 'fdset-id': 1, fdd: 1 });
  // @ts-expect-error -- a mandatory argument is missing
  void client.execute('remove-fd', {});
  // @ts-expect-error -- they are missing altogether
  void client.execute('remove-fd');
  void client.execute('remove-fd', { 'fdset-id': 1n });
  const unknown = await client.execute('x-new', { anything: [1, 2n, null] });
  // @ts-expect-error -- what an unknown command returns is unknown
  void unknown.member;

  for await (const event of client.events('X_HAPPENED')) {
    const name: string = event.data.name;
    void name;
  }
  for await (const event of client.events()) {
    if (event.name === 'X_HAPPENED') void event.data.name.length;
    // @ts-expect-error -- of which event?
    else void event.data.name.length;
  }
  for await (const event of client.events(['X_HAPPENED', 'STOP'], { where: (each) => each.name !== 'STOP' })) {
    if (event.name === 'X_HAPPENED') void event.data.name.length;
  }
  for await (const { data } of client.events('X_UNKNOWN')) {
    const value: unknown = data['anything'];
    void value;
  }
  const { data } = await client.waitForEvent('X_HAPPENED', { where: (event) => event.data.name === 'a' });
  const stop = client.onEvent('X_HAPPENED', (event) => void event.data.name.length);
  stop();
  void [running, fd, data.name];
  takesAny(client);
}

/** A function for clients of whatever schema. */
function takesAny(client: QmpClient): void {
  void client.execute('query-status');
}

async function untyped(client: QmpClient): Promise<void> {
  const status = await client.execute('query-status');
  // @ts-expect-error -- unknown
  void status.running;
  const command: string = 'query-status';
  void client.execute(command, { a: 1 }, { timeoutMs: 1 });
  const events: AsyncIterable<QmpEvent> = client.events();
  void events;
}

test('a schema type changes nothing at run time', async () => {
  void [typed, untyped];
  const served = new ServedMonitors();
  const client = await QmpClient.connect<Small>(served.path());
  const events = client.events('X_HAPPENED');
  await client.execute('x-happen', { name: 'typed' });
  const { value } = await events.next();
  assert.equal(value?.data.name, 'typed');
  await client.close();
  await served.close();
});
