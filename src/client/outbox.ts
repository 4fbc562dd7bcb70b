// When may a command leave? At once, unless out-of-band execution is enabled: then QEMU reads ahead, and
//
//  - an fd that comes before the command that waits for another one has run replaces that other one, so the next command
//    with fds leaves when the one before it is answered;
//  - beyond eight commands in flight QEMU does not read, so that an out-of-band command would not be seen.
//
// What waits keeps its place, and its fds as duplicates. Source: docs/reference/qmp.md section 7, fdset.md section 1.
import { dupFd } from '../addon/index.ts';
import { OwnedFd } from '../fds/index.ts';
import type { Call } from './pending.ts';

/** In-band commands in flight with out-of-band execution enabled. */
const WINDOW = 8;

/** Hands a call's text to the transport. Where it throws, the call was not sent. */
export type Send = (call: Call, text: string, fds: readonly number[] | undefined) => void;

interface Waiting {
  readonly call: Call;
  readonly text: string;
  readonly fds: readonly OwnedFd[];
}

export class Outbox {
  readonly #send: Send;
  readonly #inTurn: boolean;
  #queue: Waiting[] = [];
  #inFlight = 0;
  #fdsInFlight = false;

  /** @param inTurn whether commands have to wait for their turn: out-of-band execution is enabled */
  constructor(inTurn: boolean, send: Send) {
    this.#inTurn = inTurn;
    this.#send = send;
  }

  /** Sends, or keeps until its turn comes. The fds are borrowed. @throws SystemError see {@link Send} and dup(2) */
  post(call: Call, text: string, fds: readonly number[] | undefined): void {
    if (!this.#inTurn || call.oob) return this.#send(call, text, fds);
    if (this.#queue.length === 0 && this.#mayLeave(call)) return this.#leave(call, text, fds);
    this.#queue.push({ call, text, fds: duplicates(fds) });
  }

  /** A call was answered: whatever waited for that leaves. */
  answered(call: Call): void {
    if (!this.#inTurn || call.oob) return;
    this.#inFlight--;
    if (call.carriesFds) this.#fdsInFlight = false;
    let next: Waiting | undefined;
    while ((next = this.#queue[0]) !== undefined && (next.call.settled || this.#mayLeave(next.call))) {
      this.#queue.shift();
      this.#leaveAtLast(next);
    }
  }

  /** Whether somebody waits for one that has not left. */
  get waited(): boolean {
    return this.#queue.some(({ call }) => !call.settled);
  }

  /** Takes out what has not left, its fds closed. */
  drain(): Call[] {
    const queue = this.#queue;
    this.#queue = [];
    for (const { fds } of queue) close(fds);
    return queue.map(({ call }) => call);
  }

  #mayLeave(call: Call): boolean {
    return this.#inFlight < WINDOW && !(call.carriesFds && this.#fdsInFlight);
  }

  #leave(call: Call, text: string, fds: readonly number[] | undefined): void {
    this.#send(call, text, fds);
    this.#inFlight++;
    if (call.carriesFds) this.#fdsInFlight = true;
  }

  /** Nobody is there to throw at: what fails is told to the call. One that was given up does not leave. */
  #leaveAtLast({ call, text, fds }: Waiting): void {
    try {
      if (!call.settled) {
        this.#leave(
          call,
          text,
          fds.map(({ fd }) => fd),
        );
      }
    } catch (error) {
      call.reject(error);
    } finally {
      close(fds);
    }
  }
}

function duplicates(fds: readonly number[] = []): OwnedFd[] {
  const copies: OwnedFd[] = [];
  try {
    for (const fd of fds) copies.push(new OwnedFd(dupFd(fd)));
  } catch (error) {
    close(copies);
    throw error;
  }
  return copies;
}

function close(fds: readonly OwnedFd[]): void {
  for (const fd of fds) fd.close();
}
