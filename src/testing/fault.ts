// What can go wrong on demand with one command?

/** What happens to a command of a client. */
export type Fault =
  /** The command runs so many milliseconds later, or when the promise settles; others wait, as for a slow command. */
  | { readonly kind: 'delay'; readonly until: number | Promise<unknown> }
  /** The connection is closed when so many bytes of the reply have been sent; 0: the command runs, and no reply comes. */
  | { readonly kind: 'drop'; readonly afterBytes: number }
  /** The fd that came with the command is closed on its way: the command finds none. */
  | { readonly kind: 'lose-fd' }
  /** The reply is sent twice. */
  | { readonly kind: 'answer-twice' }
  /** The reply has an id that no client has used; that of the command is never answered. */
  | { readonly kind: 'unknown-id' }
  /** This is sent instead of the reply, as it is: CR LF belongs to it. */
  | { readonly kind: 'instead'; readonly text: string };

/** Faults that were ordered and have not happened. */
export class FaultOrders {
  readonly #orders = new Map<string, Fault[]>();

  /** The next command of that name gets the fault; one that has one already leaves it to the one after. */
  order(command: string, fault: Fault): void {
    const orders = this.#orders.get(command);
    if (orders === undefined) this.#orders.set(command, [fault]);
    else orders.push(fault);
  }

  /** Gives away the faults of the next command of that name: the oldest of each kind. */
  take(command: string): Fault[] {
    const taken: Fault[] = [];
    const left: Fault[] = [];
    for (const fault of this.#orders.get(command) ?? []) {
      (taken.some(({ kind }) => kind === fault.kind) ? left : taken).push(fault);
    }
    this.#orders.set(command, left);
    return taken;
  }
}
