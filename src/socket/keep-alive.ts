// What keeps the process alive while a socket waits for nothing? libuv counts only handles that wait for something: a
// program whose one client is paused, or whose one listener is, would end.
const holders = new Set<KeepAlive>();
/** Never fires. Referenced while there is a holder; one for all sockets of the thread. */
let timer: NodeJS.Timeout | undefined;

/** One socket's wish to keep the event loop alive. */
export class KeepAlive {
  #needed = false;
  #wanted = true;

  /** Whether the socket itself does not do it at the moment. */
  set needed(on: boolean) {
    if (this.#needed === on) return;
    this.#needed = on;
    this.#update();
  }

  /** Whether the loop shall be kept alive at all: ref and unref. */
  set wanted(on: boolean) {
    this.#wanted = on;
    this.#update();
  }

  #update(): void {
    const held = holders.size > 0;
    if (this.#needed && this.#wanted) holders.add(this);
    else holders.delete(this);
    if (holders.size > 0 === held) return;
    timer ??= setInterval(() => undefined, 0x7fff_ffff);
    if (held) timer.unref();
    else timer.ref();
  }
}
