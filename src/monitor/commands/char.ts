// The commands of QEMU's qapi/char.json. What they do to the devices is in src/chardev/character-devices.ts.
import { chardevBackends, type CharacterDevices, RingbufChardev } from '../../chardev/index.ts';
import { FdsetError } from '../../errors.ts';
import {
  chardevAdd,
  chardevChange,
  chardevRemove,
  chardevSendBreak,
  queryChardev,
  queryChardevBackends,
  ringbufRead,
  ringbufWrite,
} from '../../qapi/schema/char.ts';
import type { TakeFd } from '../../socket/index.ts';
import type { CommandContext, CommandRegistry } from '../registry.ts';

/** @param devices what the commands change; the registry's program owns them */
export function registerCharCommands(registry: CommandRegistry, devices: CharacterDevices): void {
  registry.register(queryChardev, () => devices.query());
  registry.register(queryChardevBackends, () => chardevBackends.map((name) => ({ name })));
  registry.register(chardevAdd, async ({ id, backend }, context) => {
    await devices.add(id, backend, namedFd(context));
    return {};
  });
  registry.register(chardevChange, async ({ id, backend }, context) => {
    await devices.change(id, backend, namedFd(context));
    return {};
  });
  registry.register(chardevRemove, ({ id }) => devices.remove(id));
  registry.register(chardevSendBreak, ({ id }) => {
    if (devices.get(id) === undefined) throw charError(`Chardev '${id}' not found`);
  });
  registry.register(ringbufWrite, ({ device, data, format }) => {
    const bytes = format === 'base64' ? decodeBase64(data) : bytesOf(data);
    findRingbuf(devices, device).write(bytes);
  });
  registry.register(ringbufRead, ({ device, size, format }) => {
    const ringbuf = findRingbuf(devices, device);
    if (size <= 0) throw charError('size must be greater than zero');
    const bytes = ringbuf.read(Number(size));
    return format === 'base64' ? bytes.toString('base64') : textOf(bytes);
  });
}

function namedFd(context: CommandContext): TakeFd {
  return (name) => context.namedFds.take(name);
}

function findRingbuf(devices: CharacterDevices, id: string): RingbufChardev {
  const device = devices.get(id);
  if (device === undefined) throw charError(`Device '${id}' not found`);
  if (!(device instanceof RingbufChardev)) throw charError(`${id} is not a ringbuf device`);
  return device;
}

const nul = '\xc0\x80';

/** As QEMU has a string in memory: U+0000 is C0 80. */
function bytesOf(text: string): Buffer {
  const bytes = Buffer.from(text);
  return bytes.includes(0) ? Buffer.from(bytes.toString('latin1').replaceAll('\0', nul), 'latin1') : bytes;
}

/** The string that QEMU finds there: it ends at a zero byte. */
function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  const parts = bytes.toString('latin1', 0, end < 0 ? bytes.length : end).split(nul);
  return parts.map((part) => Buffer.from(part, 'latin1').toString()).join('\0');
}

function decodeBase64(text: string): Buffer {
  if (!/^[A-Za-z0-9+/=\n]*$/.test(text)) throw charError('Base64 data contains invalid characters');
  return Buffer.from(text, 'base64');
}

function charError(message: string): FdsetError {
  return new FdsetError('ERR_FDSET_CHARDEV', message);
}
