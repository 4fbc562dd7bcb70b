// fdset serve IMAGE…: open images as the user, start a daemon that can open nothing, pass it the files, export them.
import { readSync } from 'node:fs';
import { basename } from 'node:path';

import { type Command, InvalidArgumentError, Option } from 'commander';

import { describeSandbox, sandboxModes, type SandboxMode } from '../daemon/index.ts';
import { probeImageFormat, probeLength } from '../image/index.ts';
import { CliError } from './cli-error.ts';
import { ImageServer, type ServedImage, untilInterrupted } from './image-server.ts';
import { interruption } from './interruption.ts';
import { type Image, openFile, openImage } from './open-file.ts';
import { formatSize } from './table.ts';

interface ServeOptions {
  readonly readOnly?: boolean;
  readonly socket?: string;
  readonly port?: number;
  readonly bind?: string;
  readonly name: readonly string[];
  readonly format?: 'raw';
  readonly allowUid: readonly number[];
  readonly sandbox: SandboxMode;
  readonly json?: boolean;
}

export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .summary('serve images over NBD from a process that can open nothing')
    .argument('<image...>', 'raw images: files or block devices')
    .option('--read-only', 'no client may write')
    .option('--socket <path>', 'the NBD socket; default: one in a folder that only you may enter')
    .addOption(new Option('--port <number>', 'listen on TCP').argParser(portNumber).conflicts('socket'))
    .option('--bind <address>', 'the address to listen on, with --port; default: 127.0.0.1')
    .option('--name <name>', "the export's name, once for each image", append, [])
    .addOption(new Option('--format <format>', "do not look at the image's first bytes").choices(['raw']))
    .option('--allow-uid <uid>', 'another user who may connect; may be repeated', appendUid, [])
    .addOption(new Option('--sandbox <mode>').choices([...sandboxModes]).default('on'))
    .option('--json', 'one line of JSON instead of text')
    .action(serve);
}

async function serve(paths: string[], options: ServeOptions): Promise<void> {
  const interrupted = interruption();
  const images = openImages(paths, options);
  try {
    const server = await ImageServer.start({
      sandbox: options.sandbox,
      allowUids: options.allowUid,
      nbd: nbdAddress(options),
      interrupted,
    });
    try {
      const sizes = await Promise.race([exportAll(server, images), interrupted]);
      process.stdout.write(options.json ? asJson(server, images, sizes) : asText(server, images, sizes));
      await untilInterrupted(server, interrupted);
    } finally {
      await server.close();
    }
  } finally {
    for (const { image, writeFd } of images) {
      image.fd[Symbol.dispose]();
      writeFd?.[Symbol.dispose]();
    }
  }
}

/** Opens every image before anything is started, so that a wrong argument changes nothing. */
function openImages(paths: readonly string[], options: ServeOptions): ServedImage[] {
  const names = exportNames(paths, options.name);
  const images: ServedImage[] = [];
  try {
    for (const [index, path] of paths.entries()) {
      const image = openImage(path, 'r');
      images.push({ image, writeFd: undefined, exportName: names[index]! });
      if (options.format === undefined) requireRaw(image);
      if (!options.readOnly) images[index] = { ...images[index]!, writeFd: openForWriting(image) };
    }
    return images;
  } catch (error) {
    for (const { image, writeFd } of images) {
      image.fd[Symbol.dispose]();
      writeFd?.[Symbol.dispose]();
    }
    throw error;
  }
}

/** Opens the file that is open for reading once more, whatever has its name by now: proc(5), /proc/PID/fd. */
function openForWriting({ path, fd }: Image): ServedImage['writeFd'] {
  try {
    return openFile(`/proc/self/fd/${fd.fd}`, 'rw', { name: path });
  } catch (error) {
    throw new CliError(`${(error as Error).message} (serve it with --read-only?)`, { cause: error });
  }
}

function exportNames(paths: readonly string[], given: readonly string[]): readonly string[] {
  if (given.length > 0 && given.length !== paths.length) {
    throw new CliError(`${given.length} names for ${paths.length} images: give --name once for each image`, {
      exitCode: 2,
    });
  }
  const names = given.length > 0 ? given : paths.length === 1 ? [''] : paths.map((path) => basename(path));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new CliError(`two exports would be named '${twice}': give --name once for each image`, { exitCode: 2 });
  }
  return names;
}

/** @throws CliError where the first bytes say that this is another format */
function requireRaw({ path, fd }: Image): void {
  const format = probeImageFormat(readHeader(path, fd.fd));
  if (format === 'raw') return;
  throw new CliError(
    `${path}: this is a ${format} image, and only raw ones are served: convert it (qemu-img convert -O raw), ` +
      'or give --format raw to serve its bytes as they are',
  );
}

function readHeader(path: string, fd: number): Buffer {
  const header = Buffer.alloc(probeLength);
  try {
    return header.subarray(0, readSync(fd, header, 0, header.length, 0));
  } catch (error) {
    throw new CliError(`${path}: cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function nbdAddress({ socket, port, bind, allowUid }: ServeOptions) {
  if (allowUid.length > 0 && socket === undefined) {
    const why = 'the default folder is closed to others, and on TCP the kernel does not say who connects';
    throw new CliError(`--allow-uid needs --socket PATH: ${why}`, { exitCode: 2 });
  }
  if (bind !== undefined && port === undefined) throw new CliError('--bind needs --port', { exitCode: 2 });
  if (port !== undefined) return { type: 'inet', host: bind ?? '127.0.0.1', port: `${port}` } as const;
  return socket === undefined ? undefined : ({ type: 'unix', path: socket } as const);
}

/** @returns the size of each image in bytes, as NBD clients see it */
async function exportAll(server: ImageServer, images: readonly ServedImage[]): Promise<number[]> {
  const client = await server.connect();
  try {
    const sizes: number[] = [];
    for (const served of images) {
      const set = await server.passFiles(client, served);
      sizes.push(await server.exportImage(client, set, served));
    }
    return sizes;
  } finally {
    await client.close();
  }
}

function asText(server: ImageServer, images: readonly ServedImage[], sizes: readonly number[]): string {
  const lines = images.map(({ image, writeFd, exportName }, index) => {
    const access = writeFd ? 'read-write' : 'read-only';
    return `${image.path} (${formatSize(sizes[index]!)}, ${access}): ${server.uri(exportName)}`;
  });
  return [...lines, `monitor: ${server.qmpPath}`, describeSandbox(server.sandbox), ''].join('\n');
}

function asJson(server: ImageServer, images: readonly ServedImage[], sizes: readonly number[]): string {
  const exports = images.map(({ image, writeFd, exportName }, index) => ({
    image: image.path,
    name: exportName,
    size: sizes[index]!,
    'read-only': writeFd === undefined,
    uri: server.uri(exportName),
  }));
  return `${JSON.stringify({ pid: server.pid, monitor: server.qmpPath, exports, sandbox: server.sandbox })}\n`;
}

function append(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function appendUid(value: string, before: readonly number[]): readonly number[] {
  if (!/^\d{1,10}$/.test(value)) throw new InvalidArgumentError('give a number, as `id -u` prints it');
  return [...before, Number(value)];
}

function portNumber(value: string): number {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('give a number from 0 (any free port) to 65535');
}
