// A real file, exported on a Unix socket by this process, for other programs to use.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { BlockGraph, openPath } from '../../src/block/index.ts';
import { NbdServer, type NbdServerOptions } from '../../src/nbd/index.ts';
import { listenUnix } from '../../src/socket/index.ts';

export interface ServedImageOptions extends NbdServerOptions {
  readonly size: number;
  readonly writable?: boolean;
  readonly name?: string;
  readonly description?: string;
  readonly direct?: boolean;
}

/** Close it, or its file, its socket and its fds stay. */
export class ServedImage {
  readonly folder: string;
  /** The image file. */
  readonly image: string;
  readonly socket: string;
  readonly uri: string;
  readonly server: NbdServer;
  readonly #graph: BlockGraph;
  readonly #detach: () => Promise<void>;

  static async start(options: ServedImageOptions): Promise<ServedImage> {
    const folder = mkdtempSync(join(tmpdir(), 'fdset-nbd-'));
    const image = join(folder, 'image.raw');
    writeFileSync(image, '');
    truncateSync(image, options.size);
    const graph = new BlockGraph({ openFile: openPath });
    const cache = { direct: options.direct ?? false };
    await graph.blockdevAdd({ driver: 'file', 'node-name': 'f', filename: image, discard: 'unmap', cache });
    const writable = options.writable ?? true;
    const backend = await graph.attach('f', { writable });
    const server = new NbdServer(options);
    server.addExport({ name: options.name ?? '', description: options.description, writable, backend });
    const socket = join(folder, 'nbd.sock');
    server.listen(listenUnix(socket));
    return new ServedImage(folder, image, socket, server, graph, () => backend.detach(), options.name ?? '');
  }

  private constructor(
    folder: string,
    image: string,
    socket: string,
    server: NbdServer,
    graph: BlockGraph,
    detach: () => Promise<void>,
    name: string,
  ) {
    this.folder = folder;
    this.image = image;
    this.socket = socket;
    this.uri = `nbd+unix:///${name}?socket=${socket}`;
    this.server = server;
    this.#graph = graph;
    this.#detach = detach;
  }

  /** A path beside the image, gone with it. */
  path(name: string): string {
    return join(this.folder, name);
  }

  async close(): Promise<void> {
    await this.server.stop();
    await this.#detach();
    await this.#graph.close();
    rmSync(this.folder, { recursive: true });
  }
}
