// How is an image served by a process that cannot open it? The steps of `fdset serve` and of the demo: bind the
// sockets, start the sandboxed daemon with them, pass the images over QMP, export them.
import { basename, join } from 'node:path';

import { QmpClient } from '../client/index.ts';
import { daemonScript, listenOn, type SandboxMode, type SandboxReport, startDaemon } from '../daemon/index.ts';
import type { StartedDaemon, TakeFd } from '../daemon/index.ts';
import type { OwnedFd } from '../fds/index.ts';
import type { SocketAddress } from '../qapi/index.ts';
import { formatAddress, type Listener } from '../socket/index.ts';
import { CliError } from './cli-error.ts';
import type { Image } from './open-file.ts';
import { makeRuntimeFolder } from './runtime-folder.ts';

/** An image with the fds that its daemon gets: one for reading, and one for writing too where clients may write. */
export interface ServedImage {
  readonly image: Image;
  readonly writeFd: OwnedFd | undefined;
  readonly exportName: string;
}

export interface ImageServerOptions {
  readonly sandbox: SandboxMode;
  /** Where NBD clients connect; default a socket in the runtime folder. */
  readonly nbd?: SocketAddress | undefined;
  /** Users who may connect besides this one and root. */
  readonly allowUids?: readonly number[];
  /** Rejects when the start is to be given up; see interruption.ts. */
  readonly interrupted: Promise<never>;
}

/** A daemon that serves; `close` ends it. */
export class ImageServer {
  readonly qmpPath: string;
  readonly nbdAddress: Listener['address'];
  readonly sandbox: SandboxReport;
  readonly #daemon: StartedDaemon;
  readonly #close: () => void;
  #fileCount = 0;

  private constructor(
    daemon: StartedDaemon,
    sandbox: SandboxReport,
    qmpPath: string,
    nbdAddress: Listener['address'],
    close: () => void,
  ) {
    this.#daemon = daemon;
    this.sandbox = sandbox;
    this.qmpPath = qmpPath;
    this.nbdAddress = nbdAddress;
    this.#close = close;
  }

  /** Starts a daemon that serves nothing yet. Nothing is left of one that cannot start or is interrupted. */
  static async start({ sandbox, nbd, allowUids = [], interrupted }: ImageServerOptions): Promise<ImageServer> {
    const folder = await makeRuntimeFolder();
    const listeners: Listener[] = [];
    const close = (): void => {
      for (const listener of listeners) listener.close();
      folder.remove();
    };
    try {
      const qmpPath = join(folder.path, 'qmp.sock');
      const qmpSocket = await listenOn({ type: 'unix', path: qmpPath }, noFds, 0o600);
      listeners.push(qmpSocket);
      // Where other users may connect the daemon asks the kernel who they are.
      const mode = allowUids.length > 0 ? 0o666 : 0o600;
      const nbdSocket = await listenOn(nbd ?? { type: 'unix', path: join(folder.path, 'nbd.sock') }, noFds, mode);
      listeners.push(nbdSocket);
      const daemon = startDaemon({
        mode: sandbox,
        script: daemonScript,
        args: daemonArguments(allowUids),
        fds: [
          { fd: qmpSocket.fd, childFd: qmpFd },
          { fd: nbdSocket.fd, childFd: nbdFd },
        ],
      });
      const report = await readyDaemon(daemon, interrupted);
      return new ImageServer(daemon, report, qmpPath, nbdSocket.address, close);
    } catch (error) {
      close();
      throw error;
    }
  }

  get pid(): number {
    return this.#daemon.pid;
  }

  /** How the daemon ended, once it has. */
  get exit(): StartedDaemon['exit'] {
    return this.#daemon.exit;
  }

  connect(): Promise<QmpClient> {
    return QmpClient.connect(this.qmpPath);
  }

  /** Passes an image to the daemon: into set N as files come, from 1 on. The fds stay the caller's. */
  async passFiles(client: QmpClient, { image, writeFd }: ServedImage): Promise<number> {
    const set = ++this.#fileCount;
    const opaque = image.path;
    await client.execute('add-fd', { 'fdset-id': set, opaque }, { fds: [image.fd.fd] });
    if (writeFd) await client.execute('add-fd', { 'fdset-id': set, opaque }, { fds: [writeFd.fd] });
    return set;
  }

  /**
   * Makes the node and the export of an image whose files are in `set`.
   *
   * @returns the size of the export in bytes
   */
  async exportImage(client: QmpClient, set: number, served: ServedImage): Promise<number> {
    const { image, writeFd, exportName } = served;
    const access = writeFd ? { 'auto-read-only': true } : { 'read-only': true };
    const file = { driver: image.kind, filename: `/dev/fdset/${set}`, ...access };
    const node = `image${set}`;
    await client.execute('blockdev-add', { driver: 'raw', 'node-name': node, file, ...access });
    const description = basename(image.path).slice(0, 200);
    const nbd = { type: 'nbd', id: `export${set}`, 'node-name': node, name: exportName, description };
    await client.execute('block-export-add', { ...nbd, writable: writeFd !== undefined });
    return sizeOfNode(client, node);
  }

  /** Ends the daemon and removes its sockets. */
  async close(): Promise<void> {
    this.#daemon.kill('SIGTERM');
    await this.#daemon.exit;
    this.#close();
  }

  /** The NBD URI of an export, for clients on this machine. Source: the NBD URI specification. */
  uri(exportName: string): string {
    const name = encodeURIComponent(exportName);
    const { nbdAddress: address } = this;
    if (address.type === 'unix') return `nbd+unix:///${name}?socket=${encodePath(address.path)}`;
    return `nbd://${formatAddress(address)}/${name}`;
  }
}

interface BlockNode {
  readonly 'node-name': string;
  readonly image: { readonly 'virtual-size': number | bigint };
}

async function sizeOfNode(client: QmpClient, name: string): Promise<number> {
  const nodes = (await client.execute('query-named-block-nodes')) as BlockNode[];
  for (const node of nodes) {
    if (node['node-name'] === name) return Number(node.image['virtual-size']);
  }
  throw new CliError(`the daemon does not list the node ${name} that it has just made`);
}

/** The daemon's word that it serves; where that does not come, the daemon is gone. */
async function readyDaemon(daemon: StartedDaemon, interrupted: Promise<never>): Promise<SandboxReport> {
  try {
    return await Promise.race([daemon.ready, interrupted]);
  } catch (error) {
    daemon.kill('SIGTERM');
    await daemon.exit;
    throw error;
  }
}

/** Resolves at an interruption. Rejects where the daemon ends by itself. */
export async function untilInterrupted(server: ImageServer, interrupted: Promise<never>): Promise<void> {
  const exit = await Promise.race([interrupted.catch(() => undefined), server.exit]);
  if (!exit) return;
  const how = exit.signal === null ? `ended with code ${exit.code}` : `was killed by ${exit.signal}`;
  // `quit` over QMP is a way to end it, too.
  if (exit.code !== 0) throw new CliError(`the daemon ${how}`);
}

/** A path as the value of a query: `&`, `#`, `+` and `?` have a meaning there, the slash has none. */
function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

const noFds: TakeFd = () => {
  throw new CliError('give a path or a TCP address to listen on');
};

const qmpFd = 3;
const nbdFd = 4;

function daemonArguments(allowUids: readonly number[]): string[] {
  const users = [process.getuid!(), ...allowUids].flatMap((uid) => ['--allow-uid', `${uid}`]);
  const chardev = `socket,id=qmp,fd=${qmpFd},server=on,wait=off`;
  return [...users, '--chardev', chardev, '--monitor', 'qmp', '--nbd-server', `addr.type=fd,addr.str=${nbdFd}`];
}
