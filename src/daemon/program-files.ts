// Which files does the daemon's own program consist of? Node, the libraries that it is linked to, OpenSSL's
// configuration and this package: what a sandboxed daemon may still open while it starts.
//
// The starter runs on the same Node with the same libraries, so its own memory map is the list.
import { closeSync, existsSync, openSync, readFileSync, readSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { opensslFolder } from '../addon/index.ts';

/** Absolute paths. A folder stands for all that is beneath it. */
export interface ProgramFiles {
  /** Read and executed: Node and its dynamic loader. */
  readonly execute: readonly string[];
  readonly read: readonly string[];
}

/** The files of this process's program, as they are on disk now. */
export function programFiles(): ProgramFiles {
  const node = process.execPath;
  const loader = elfInterpreter(readHead(node));
  const execute = loader === undefined ? [node] : [node, realpathSync(loader)];
  const read = [...mappedLibraries(), ...loaderConfiguration(), ...opensslConfiguration(), ...packageFiles()];
  return { execute, read: [...new Set(read)].filter((path) => !execute.includes(path)) };
}

/** Shared objects in the memory map, the addon among them. */
function mappedLibraries(): string[] {
  const lines = readFileSync('/proc/self/maps', 'utf8').split('\n');
  const paths = lines.map((line) => /^\S+ \S+ \S+ \S+ \S+ +(\/.*)$/.exec(line)?.[1]);
  return paths.filter((path) => path !== undefined && /\.so(\.|$)|\.node$/.test(path)) as string[];
}

/** Where the dynamic loader finds libraries outside the standard folders. */
function loaderConfiguration(): string[] {
  const arch = process.arch === 'x64' ? 'x86_64' : 'aarch64';
  return ['/etc/ld.so.cache', `/etc/ld-musl-${arch}.path`].filter((path) => existsSync(path));
}

/** OpenSSL's configuration and what it includes: Node reads it at start, and ends where it may not. */
function opensslConfiguration(): string[] {
  const folder = opensslFolder() ?? '/etc/ssl';
  const found = new Set<string>();
  collectConfiguration(process.env['OPENSSL_CONF'] ?? join(folder, 'openssl.cnf'), found);
  return [...found];
}

function collectConfiguration(path: string, found: Set<string>): void {
  if (found.has(path) || !path.startsWith('/') || !existsSync(path)) return;
  found.add(path);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return; // a folder of further files, or one that Node cannot read either
  }
  for (const [, included] of text.matchAll(/^\s*\.include\s*=?\s*(\S+)/gm)) {
    if (included !== undefined) collectConfiguration(included, found);
  }
}

/** The compiled code and the package.json that tells Node how to read it. */
function packageFiles(): string[] {
  let root = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(root, 'package.json'))) root = dirname(root);
  return [join(root, 'dist'), join(root, 'package.json')];
}

/** The first bytes of a program: its ELF header and program headers. */
function readHead(path: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(65536);
    return head.subarray(0, readSync(fd, head));
  } finally {
    closeSync(fd);
  }
}

/**
 * The dynamic loader that a 64-bit little-endian ELF program asks for; undefined for a static one. elf(5): e_phoff,
 * e_phentsize, e_phnum; of the program header p_type (PT_INTERP is 3), p_offset, p_filesz.
 */
export function elfInterpreter(head: Buffer): string | undefined {
  if (head.length < 64 || head.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') return undefined;
  const table = Number(head.readBigUInt64LE(0x20));
  const entrySize = head.readUInt16LE(0x36);
  const count = head.readUInt16LE(0x38);
  for (let i = 0; i < count; i++) {
    const entry = table + i * entrySize;
    if (entry + 56 > head.length) return undefined;
    if (head.readUInt32LE(entry) !== 3) continue;
    const offset = Number(head.readBigUInt64LE(entry + 8));
    const size = Number(head.readBigUInt64LE(entry + 32));
    return head.toString('utf8', offset, offset + size).replace(/\0.*$/, '');
  }
  return undefined;
}
