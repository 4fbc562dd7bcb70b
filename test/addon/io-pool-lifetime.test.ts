// What becomes of calls in flight when the process, or the worker that made them, ends?
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { O } from '../../src/addon/index.ts';
import { checkOpenFds, openFds } from '../open-fds.ts';

checkOpenFds();

const folder = mkdtempSync(join(process.cwd(), 'build', 'io-pool-lifetime-'));
after(() => rmSync(folder, { recursive: true }));
const addon = new URL('../../src/addon/index.js', import.meta.url).href;

let fifos = 0;
/** Opening a FIFO waits for the other end: a call that blocks for as long as the test likes. */
function makeFifo(): string {
  const path = join(folder, `fifo-${++fifos}`);
  execFileSync('mkfifo', [path]);
  return path;
}

/** Opening for both directions does not wait, and lets everybody else through. */
function releaseFifo(path: string): void {
  closeSync(openSync(path, O.O_RDWR));
}

function runChild(code: string, ...flags: string[]) {
  return spawnSync(process.execPath, [...flags, '--input-type=module', '-e', code], { timeout: 20_000 });
}

async function runWorker(code: string): Promise<Worker> {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return worker;
}

test('process.exit does not wait for threads that are blocked', () => {
  const fifo = makeFifo();
  const { status, signal, stderr } = runChild(`
    import { O, open } from ${JSON.stringify(addon)};
    for (let i = 0; i < 80; i++) void open(${JSON.stringify(fifo)}, O.O_RDONLY);
    setTimeout(() => process.exit(7), 50);
  `);
  assert.deepEqual([status, signal, stderr.toString()], [7, null, '']);
});

test('a call in flight keeps the process alive, and an idle pool does not', () => {
  const { status, stdout } = runChild(`
    import { fstat } from ${JSON.stringify(addon)};
    fstat(0).then(() => fstat(0)).then(() => console.log('settled'));
  `);
  assert.deepEqual([status, stdout.toString()], [0, 'settled\n']);
});

test('a call that blocks does not hold up others', async () => {
  const fifo = makeFifo();
  const { status, stdout, stderr } = runChild(`
    import { O, open, fstat } from ${JSON.stringify(addon)};
    for (let i = 0; i < 40; i++) void open(${JSON.stringify(fifo)}, O.O_RDONLY);
    fstat(0).then((status) => { console.log(typeof status.size); process.exit(0); });
  `);
  assert.deepEqual([status, stdout.toString(), stderr.toString()], [0, 'number\n', '']);
});

test('calls beyond the 64 threads wait in a queue and are made in the end', async () => {
  const fifo = makeFifo();
  const { status, stdout, stderr } = runChild(`
    import { O, open, close, fstat } from ${JSON.stringify(addon)};
    import { openSync, readdirSync } from 'node:fs';
    const opened = Array.from({ length: 100 }, () => open(${JSON.stringify(fifo)}, O.O_RDONLY));
    let early = false;
    void fstat(0).then(() => { early = true; });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const threads = readdirSync('/proc/self/task').length;
    console.log(early, threads >= 64 && threads < 84);
    const both = openSync(${JSON.stringify(fifo)}, 'r+');
    const fds = await Promise.all(opened);
    console.log(new Set(fds).size);
    await Promise.all(fds.map((fd) => close(fd)));
    process.exit(0);
  `);
  assert.deepEqual([status, stdout.toString(), stderr.toString()], [0, 'false true\n100\n', '']);
});

test('a worker that is terminated with calls in flight ends at once, and its threads close what they open', async () => {
  const fifo = makeFifo();
  const path = join(folder, 'data');
  writeFileSync(path, Buffer.alloc(1 << 20, 'x'));
  const before = openFds().size;
  for (let round = 0; round < 5; round++) {
    const worker = await runWorker(`
      import { O, allocateIoBuffer, open, pread } from ${JSON.stringify(addon)};
      import { openSync } from 'node:fs';
      import { parentPort } from 'node:worker_threads';
      for (let i = 0; i < 70; i++) void open(${JSON.stringify(fifo)}, O.O_RDONLY);
      const fd = openSync(${JSON.stringify(path)});
      void pread(fd, Buffer.alloc(1 << 20), 0);
      parentPort.postMessage('started');
    `);
    await worker.terminate();
    // The threads that hang now find their worker gone, and give back what they open.
    releaseFifo(fifo);
  }
  for (let tries = 0; tries < 100 && openFds().size > before; tries++) {
    releaseFifo(fifo);
    await sleep(20);
  }
  assert.equal(openFds().size, before);
});

test('workers that are terminated in the middle of completions do no harm', async () => {
  const path = join(folder, 'busy');
  writeFileSync(path, Buffer.alloc(1 << 16, 'y'));
  const fd = openSync(path, 'r');
  for (let round = 0; round < 10; round++) {
    const worker = await runWorker(`
      import { allocateIoBuffer, pread } from ${JSON.stringify(addon)};
      import { parentPort } from 'node:worker_threads';
      const loop = async (bytes) => { for (;;) await pread(${fd}, bytes, 0); };
      for (let i = 0; i < 16; i++) { void loop(Buffer.alloc(65536)); void loop(allocateIoBuffer(65536)); }
      parentPort.postMessage('started');
    `);
    await sleep(round);
    await worker.terminate();
  }
  closeSync(fd);
});

test('a worker alone may load the addon, and the process survives its end', () => {
  const fifo = makeFifo();
  const worker = `
    import { O, open, fstat } from ${JSON.stringify(addon)};
    import { parentPort } from 'node:worker_threads';
    void open(${JSON.stringify(fifo)}, O.O_RDONLY);
    await fstat(0);
    parentPort.postMessage('started');
  `;
  const { status, signal, stderr } = runChild(`
    import { Worker } from 'node:worker_threads';
    import { closeSync, openSync } from 'node:fs';
    const worker = new Worker(new URL('data:text/javascript,' + ${JSON.stringify(encodeURIComponent(worker))}));
    worker.once('message', async () => {
      await worker.terminate();
      closeSync(openSync(${JSON.stringify(fifo)}, 'r+'));
      setTimeout(() => process.exit(3), 200);
    });
  `);
  assert.deepEqual([status, signal, stderr.toString()], [3, null, '']);
});

test('a promised close is made even if the worker ends first', async () => {
  const fifo = makeFifo();
  const fd = openSync('/dev/zero', 'r');
  const worker = await runWorker(`
    import { O, open, close } from ${JSON.stringify(addon)};
    import { parentPort } from 'node:worker_threads';
    for (let i = 0; i < 64; i++) void open(${JSON.stringify(fifo)}, O.O_RDONLY);
    setTimeout(() => { // when all threads hang, so that it has to queue
      void close(${fd});
      parentPort.postMessage('started');
    }, 200);
  `);
  const isOpen = () => openFds().get(fd) === '/dev/zero';
  assert.equal(isOpen(), true);
  await worker.terminate();
  for (let tries = 0; tries < 100 && isOpen(); tries++) {
    releaseFifo(fifo);
    await sleep(20);
  }
  assert.equal(isOpen(), false);
  for (let tries = 0; tries < 20; tries++) releaseFifo(fifo);
});

test('an array that nothing else refers to survives garbage collection until its call is over', () => {
  const path = join(folder, 'collected');
  const fd = openSync(path, 'w');
  writeSync(fd, Buffer.alloc(1 << 20, 'g'));
  closeSync(fd);
  const { status, stdout, stderr } = runChild(
    `
    import { allocateIoBuffer, pread } from ${JSON.stringify(addon)};
    import { openSync } from 'node:fs';
    const fd = openSync(${JSON.stringify(path)});
    let whole = 0;
    const read = async (make) => { if (await pread(fd, make(1 << 20), 0) === 1 << 20) whole++; };
    for (let round = 0; round < 20; round++) {
      const reads = [];
      for (let i = 0; i < 8; i++) reads.push(read((size) => new Uint8Array(size)), read(allocateIoBuffer));
      gc();
      await Promise.all(reads);
      gc();
    }
    console.log(whole);
    `,
    '--expose-gc',
  );
  assert.deepEqual([status, stdout.toString(), stderr.toString()], [0, '320\n', '']);
});
