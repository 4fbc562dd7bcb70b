// What do the tests of src/socket/ have in common? Connected channels, files that tell themselves apart, and waiting.
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';

import { socketPair } from '../../src/addon/index.ts';
import { OwnedFd } from '../../src/fds/index.ts';
import { type Channel, type ChannelHandlers, type ChannelOptions, openChannel } from '../../src/socket/index.ts';
import { openFds } from '../open-fds.ts';

/** A channel that does not keep the process alive: a test that fails shall not hang as well. */
export function unreferencedChannel(fd: OwnedFd, handlers: ChannelHandlers = {}, options?: ChannelOptions): Channel {
  const channel = openChannel(fd, handlers, options);
  channel.unref();
  return channel;
}

/** A channel and the fd of its peer, which the caller closes or opens. */
export function channelAndPeer(handlers: ChannelHandlers, options?: ChannelOptions): [Channel, OwnedFd] {
  const [left, right] = socketPair();
  return [unreferencedChannel(new OwnedFd(left), handlers, options), new OwnedFd(right)];
}

/** Two channels, connected. */
export function channelPair(left: ChannelHandlers, right: ChannelHandlers): [Channel, Channel] {
  const [channel, peer] = channelAndPeer(left);
  return [channel, unreferencedChannel(peer, right)];
}

/** The name of a folder that exists while the tests of this suite run. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fdset-socket-'));
  after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Some files, open while the tests of the suite run in which this is made, and which of them an fd is. */
export class MarkedFiles {
  fds: readonly number[] = [];
  readonly #numbers = new Map<number, number>();

  constructor(count: number) {
    const folder = temporaryFolder();
    before(() => {
      this.fds = Array.from({ length: count }, (_, number) => this.#open(join(folder, `${number}`), number));
    });
    after(() => this.fds.forEach((fd) => closeSync(fd)));
  }

  #open(path: string, number: number): number {
    writeFileSync(path, '');
    const fd = openSync(path, 'r');
    this.#numbers.set(fstatSync(fd).ino, number);
    return fd;
  }

  numberOf(fd: number): number | undefined {
    return this.#numbers.get(fstatSync(fd).ino);
  }

  /** The number of the file behind an fd that was taken, which is closed; null for none. */
  numberOfTaken(fd: OwnedFd | null): number | null {
    if (fd === null) return null;
    const number = this.numberOf(fd.fd);
    fd.close();
    return number ?? -1;
  }
}

/** A promise with its resolve; rejected where that takes too long. */
export class Deferred<T = void> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('waited in vain')), 10_000);
      this.resolve = (value) => {
        clearTimeout(timer);
        resolve(value);
      };
    });
  }
}

/** Waits until the event loop has polled, for what was sent to arrive and what was closed to be told. */
export async function turns(count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits until something holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 5000) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Waits until so many fds are open: what may take long to close is closed on another thread. */
export async function openFdCount(count: number): Promise<void> {
  await until(() => openFds().size === count);
}

/** Whether the event loop was busy for most of the time that `wait` took, rather than waiting for events: it spins. */
export async function spins(wait: () => Promise<unknown>): Promise<boolean> {
  const before = performance.eventLoopUtilization();
  await wait();
  return performance.eventLoopUtilization(before).utilization > 0.5;
}
