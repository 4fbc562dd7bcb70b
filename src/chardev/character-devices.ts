// Which character devices does a program have? chardev-add, -remove, -change and query-chardev, as QEMU's chardev/char.c.
import { FdsetError } from '../errors.ts';
import type { ChardevBackend, ChardevInfo } from '../qapi/index.ts';
import type { TakeFd } from '../socket/index.ts';
import type { ListedChardev } from './chardev.ts';
import { type ChardevContext, openChardev } from './open.ts';
import { parseChardevOption } from './option.ts';

/** The character devices of a program, by id. */
export class CharacterDevices {
  readonly #context: ChardevContext;
  readonly #devices = new Map<string, ListedChardev>();

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

  /**
   * Makes the device that `--chardev` asks for.
   *
   * @returns what is to be printed behind `warning: `; undefined where help is asked for
   * @throws FdsetError with QEMU's text
   */
  async addByOption(text: string, takeFd: TakeFd): Promise<readonly string[] | undefined> {
    const option = parseChardevOption(text);
    if (option === undefined) return undefined;
    const { id, backend, warnings } = option;
    if (this.#devices.has(id)) {
      throw chardevError(`attempt to add duplicate property '${id}' to object (type 'container')`);
    }
    await this.#open(id, backend, takeFd);
    return warnings.map(({ message, hint }) => `${message}\n${hint}`);
  }

  /** chardev-add. */
  async add(id: string, backend: ChardevBackend, takeFd: TakeFd): Promise<void> {
    if (this.#devices.has(id)) throw chardevError(`Chardev with id '${id}' already exists`);
    try {
      await this.#open(id, backend, takeFd);
    } catch (error) {
      if (!(error instanceof FdsetError)) throw error;
      throw chardevError(`Failed to add chardev '${id}': ${error.message}`, error);
    }
  }

  async #open(id: string, backend: ChardevBackend, takeFd: TakeFd): Promise<void> {
    const { device, connected } = await openChardev(id, backend, takeFd, this.#context);
    this.#devices.set(id, device);
    await connected;
  }

  /** chardev-remove. */
  remove(id: string): void {
    const device = this.#devices.get(id);
    if (device === undefined) throw chardevError(`Chardev '${id}' not found`);
    if (device.attached) throw chardevError(`Chardev '${id}' is busy`);
    this.#devices.delete(id);
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
  }
}

function chardevError(message: string, cause?: unknown): FdsetError {
  return new FdsetError('ERR_FDSET_CHARDEV', message, { cause });
}
