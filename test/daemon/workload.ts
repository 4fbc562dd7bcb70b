// What does a daemon do all day? The parts of Node that it uses or could come to use, each for the first time, so that
// anything that Node would load or open only then is met behind closed doors.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, createHmac, randomBytes, randomUUID, scryptSync, timingSafeEqual } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';
import { EventEmitter, once } from 'node:events';
import { closeSync, fstatSync, ftruncateSync, promises, readSync, readlinkSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { cpus, freemem, hostname, loadavg, totalmem, uptime } from 'node:os';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket, createSecureContext, rootCertificates } from 'node:tls';
import { inspect, parseArgs } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { createGzip, deflateRawSync, gunzipSync, gzipSync, inflateRawSync } from 'node:zlib';

import { O, close, closeFd, fdatasync, fstat, open, pipe, pread, pwrite, socketPair } from '../../src/addon/index.ts';

/** One job: throws or rejects where it fails. */
type Job = () => unknown;

/** Fd 4 is a file open for reading and writing. */
const file = 4;

const jobs: Record<string, Job> = {
  timers: async () => {
    await sleep(1);
    await new Promise((resolve) => setImmediate(resolve));
    performance.now();
    monitorEventLoopDelay().disable();
  },
  'files by fd': async () => {
    writeSync(file, Buffer.from('some bytes'), 0, 10, 0);
    readSync(file, Buffer.alloc(10), 0, 10, 0);
    fstatSync(file);
    ftruncateSync(file, 4096);
    readlinkSync(`/proc/self/fd/${file}`);
  },
  'our own pool, with as many threads as it likes': async () => {
    const buffers = Array.from({ length: 100 }, () => Buffer.alloc(100));
    await Promise.all(buffers.map((buffer, i) => pwrite(file, buffer, i)));
    await Promise.all(buffers.map((buffer, i) => pread(file, buffer, i)));
    await fdatasync(file);
    await fstat(file);
  },
  'a refused open in both pools': async () => {
    const inNodes = async (): Promise<void> => (await promises.open('/etc/passwd')).close();
    const inOurs = async (): Promise<void> => close(await open('/etc/passwd', O.O_RDONLY));
    await assert.rejects(inNodes, { code: 'EACCES' });
    await assert.rejects(inOurs, { errnoName: 'EACCES' });
  },
  'sockets and pipes': async () => {
    const [left, right] = socketPair();
    const sockets = [left, right].map((fd) => new Socket({ fd }));
    sockets[0]!.end('over');
    const [data] = (await once(sockets[1]!, 'data')) as [Buffer];
    if (data.toString() !== 'over') throw new Error('nothing came over');
    sockets[1]!.end();
    await once(sockets[1]!, 'close');
    pipe().forEach((fd) => closeFd(fd));
  },
  cryptography: () => {
    const digest = createHash('sha256').update('x').digest();
    timingSafeEqual(digest, digest);
    createHmac('sha512', randomBytes(16)).update('x').digest('hex');
    scryptSync('secret', 'salt', 16);
    randomUUID();
  },
  TLS: () => {
    if (rootCertificates.length === 0) throw new Error('no root certificates');
    createSecureContext({ ciphers: 'PSK', minVersion: 'TLSv1.2' });
    new TLSSocket(new Socket(), { isServer: true, secureContext: createSecureContext() }).destroy();
  },
  compression: async () => {
    gunzipSync(gzipSync('x'.repeat(1000)));
    inflateRawSync(deflateRawSync('x'.repeat(1000)));
    await pipeline(
      Readable.from(['x'.repeat(1000)]),
      createGzip(),
      new Transform({ transform: (_c, _e, done) => done() }),
    );
  },
  text: () => {
    new StringDecoder('utf8').write(Buffer.from([0xe2, 0x82]));
    new TextDecoder('utf-16le').decode(new TextEncoder().encode('text'));
    'ä'.normalize('NFD').localeCompare('a');
    new Intl.NumberFormat('de').format(1234.5);
    new Intl.DateTimeFormat('fr', { timeZone: 'Asia/Tokyo' }).format(new Date());
    new Date().toLocaleString();
    new URL('nbd://localhost/x?socket=y').searchParams.get('socket');
    /\p{Lu}/u.test('X');
  },
  inspection: () => {
    inspect(new Map([[{}, new Error('with a stack')]]), { colors: true });
    structuredClone(new Map([[1, new Date()]]));
    deserialize(serialize({ a: 1n }));
    parseArgs({ args: ['--x'], options: { x: { type: 'boolean' } } });
  },
  events: async () => {
    const emitter = new EventEmitter();
    setImmediate(() => emitter.emit('event'));
    await once(emitter, 'event', { signal: AbortSignal.timeout(10_000) });
    channel('fdset:test').publish({});
    new AsyncLocalStorage<number>().run(1, () => {});
    const { port1, port2 } = new MessageChannel();
    port1.close();
    port2.close();
  },
  'the machine': () => {
    // How much memory this process uses is read from /proc: process.memoryUsage() fails, these do not.
    [cpus, freemem, hostname, loadavg, totalmem, uptime].forEach((ask) => ask());
    process.cpuUsage();
    process.resourceUsage();
    process.hrtime.bigint();
    process.getuid!();
  },
  'a new thread': async () => {
    const worker = new Worker("require('node:worker_threads').parentPort.postMessage(1)", { eval: true });
    await once(worker, 'message');
    await worker.terminate();
  },
  'an error with its stack': () => {
    if (!(new Error('x').stack ?? '').includes('workload')) throw new Error('no stack');
  },
  'process ids and signals': () => {
    process.kill(process.pid, 0);
    process.once('SIGHUP', () => {}).kill(process.pid, 'SIGHUP');
    process.umask();
    process.title = 'fdset-daemon';
  },
  'garbage, enough to be collected by helper threads': () => {
    let kept: unknown[] = [];
    for (let i = 0; i < 200; i++)
      kept = [kept.slice(0, 10), Buffer.alloc(100_000), Array.from({ length: 10_000 }, () => ({}))];
    return kept;
  },
};

/** Does every job; the message of each that failed, by its name. */
export async function runWorkload(): Promise<Record<string, string>> {
  const failures: Record<string, string> = {};
  for (const [name, job] of Object.entries(jobs)) {
    try {
      await job();
    } catch (error) {
      failures[name] = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
  }
  closeSync(file);
  return failures;
}
