// Which character devices does a program have? chardev-add, -remove, -change and query-chardev, as QEMU's chardev/char.c.
import { FdsetError } from '../errors.ts';
import type { ChardevBackend, ChardevInfo, OptionWarning } from '../qapi/index.ts';
import type { TakeFd } from '../socket/index.ts';
import { chardevBackends } from './backends.ts';
import type { ListedChardev } from './chardev.ts';
import { type ChardevContext, openChardev } from './open.ts';
import { parseChardevOption } from './option.ts';

/** The character devices of a program, by id. */
export class CharacterDevices {
  readonly #context: ChardevContext;
  readonly #devices = new Map<string, ListedChardev>();
  /** The kind of each, by id. */
  readonly #kinds = new Map<string, string>();

  constructor(context: ChardevContext) {
    this.#context = context;
  }

  get(id: string): ListedChardev | undefined {
    return this.#devices.get(id);
  }

  /** In the order in which they were made. */
  [Symbol.iterator](): IterableIterator<ListedChardev> {
    return this.#devices.values();
  }

  /** The kind of a device, such as `socket`. */
  kindOf(device: ListedChardev): string {
    return this.#kinds.get(device.id)!;
  }

  /**
   * Makes the device that `--chardev` asks for.
   *
   * @param warn is told of what is deprecated
   * @throws FdsetError with QEMU's text
   */
  async addByOption(text: string, takeFd: TakeFd, warn?: (warning: OptionWarning) => void): Promise<void> {
    const option = parseChardevOption(text, warn, this.#context.rules);
    if (option === undefined) throw chardevError(`the kinds of devices are ${chardevBackends.join(', ')}`);
    const { id, backend } = option;
    if (this.#devices.has(id)) {
      throw chardevError(`attempt to add duplicate property '${id}' to object (type 'container')`);
    }
    await this.#open(id, backend, takeFd);
  }

  /** chardev-add. */
  async add(id: string, backend: ChardevBackend, takeFd: TakeFd): Promise<void> {
    if (this.#devices.has(id)) throw chardevError(`Chardev with id '${id}' already exists`);
    try {
      await this.#open(id, backend, takeFd);
    } catch (error) {
      if (!(error instanceof FdsetError)) throw error;
      const reason = this.#context.explain?.(error) ?? error.message;
      throw chardevError(`Failed to add chardev '${id}': ${reason}`, error);
    }
  }

  async #open(id: string, backend: ChardevBackend, takeFd: TakeFd): Promise<void> {
    const { device, connected } = await openChardev(id, backend, takeFd, this.#context);
    this.#devices.set(id, device);
    this.#kinds.set(id, backend.type);
    await connected;
  }

  /** chardev-remove. */
  remove(id: string): void {
    const device = this.#devices.get(id);
    if (device === undefined) throw chardevError(`Chardev '${id}' not found`);
    if (device.attached) throw chardevError(`Chardev '${id}' is busy`);
    this.#devices.delete(id);
    this.#kinds.delete(id);
    device.close();
  }

  /** chardev-change: of a device without a frontend, which is gone if the new one fails. No monitor can be moved. */
  async change(id: string, backend: ChardevBackend, takeFd: TakeFd): Promise<void> {
    const device = this.#devices.get(id);
    if (device === undefined) throw chardevError(`Chardev '${id}' does not exist`);
    if (device.attached) throw chardevError('Chardev user does not support chardev hotswap');
    this.remove(id);
    await this.add(id, backend, takeFd);
  }

  /** query-chardev. */
  query(): ChardevInfo[] {
    return [...this].map(({ id, filename, attached }) => ({ label: id, filename, 'frontend-open': attached }));
  }

  close(): void {
    for (const device of this) device.close();
    this.#devices.clear();
    this.#kinds.clear();
  }
}

function chardevError(message: string, cause?: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_CHARDEV', message, { cause });
}
