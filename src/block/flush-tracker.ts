// Is there anything to flush? Counts writes; a flush with nothing written since the last one costs nothing.

/** The writes of one node and how many of them are known to be on stable storage. */
export class FlushTracker {
  #written = 0;
  #flushed = 0;
  #running: Promise<void> | undefined;
  #failure: unknown;

  /** A write has ended and is not on stable storage by itself. Call it before the write is acknowledged. */
  wrote(): void {
    this.#written++;
  }

  /** Whether a flush would do anything. */
  get dirty(): boolean {
    return this.#flushed < this.#written;
  }

  /**
   * Returns once everything that was written before the call is on stable storage. Calls `sync` where that is needed;
   * flushes at the same time share one.
   *
   * With `sticky`, every flush after a failed one fails as well: Linux forgets which pages it could not write, so the
   * next fdatasync(2) would report success over lost data.
   * @throws what `sync` throws
   */
  async flush(sync: () => Promise<void>, { sticky }: { sticky: boolean }): Promise<void> {
    const wanted = this.#written;
    while (this.#flushed < wanted) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#running === undefined) {
        await this.#run(sync, sticky);
      } else {
        // That one began before our last write, perhaps: look again when it is done.
        await this.#running.catch(() => undefined);
      }
    }
  }

  async #run(sync: () => Promise<void>, sticky: boolean): Promise<void> {
    const upTo = this.#written;
    this.#running = sync();
    try {
      await this.#running;
      this.#flushed = Math.max(this.#flushed, upTo);
    } catch (error) {
      if (sticky) this.#failure = error;
      throw error;
    } finally {
      this.#running = undefined;
    }
  }
}
