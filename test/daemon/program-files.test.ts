import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { elfInterpreter, programFiles } from '../../src/daemon/program-files.ts';
import { checkOpenFds } from '../open-fds.ts';

checkOpenFds();

test('Node and its loader are executed; the libraries, the addon and the package are read', () => {
  const { execute, read } = programFiles();
  assert.equal(execute[0], process.execPath);
  assert.ok(read.some((path) => path.endsWith('fdset.node')));
  assert.ok(read.some((path) => path.endsWith('/dist')));
  for (const path of [...execute, ...read]) assert.ok(existsSync(path), path);
});

test('the configuration of OpenSSL is followed into what it includes, round in circles or not', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fdset-openssl-'));
  const at = (name: string) => join(folder, name);
  writeFileSync(at('main.cnf'), `.include = ${at('second.cnf')}\n.include ${at('missing.cnf')}\n`);
  writeFileSync(at('second.cnf'), `  .include=${at('main.cnf')}\n.include = ${folder}\n`);
  const before = process.env['OPENSSL_CONF'];
  process.env['OPENSSL_CONF'] = at('main.cnf');
  try {
    const inside = programFiles().read.filter((path) => path.startsWith(folder));
    assert.deepEqual(inside, [at('main.cnf'), at('second.cnf'), folder]);
  } finally {
    if (before === undefined) delete process.env['OPENSSL_CONF'];
    else process.env['OPENSSL_CONF'] = before;
    rmSync(folder, { recursive: true });
  }
});

/** An ELF header that points to program headers at 64, of 56 bytes each. */
function elf(entries: readonly { type: number; offset: number; size: number }[], tail = ''): Buffer {
  const head = Buffer.alloc(64 + entries.length * 56);
  head.write('\x7fELF\x02\x01', 'latin1');
  head.writeBigUInt64LE(64n, 0x20);
  head.writeUInt16LE(56, 0x36);
  head.writeUInt16LE(entries.length, 0x38);
  entries.forEach(({ type, offset, size }, i) => {
    head.writeUInt32LE(type, 64 + i * 56);
    head.writeBigUInt64LE(BigInt(offset), 64 + i * 56 + 8);
    head.writeBigUInt64LE(BigInt(size), 64 + i * 56 + 32);
  });
  return Buffer.concat([head, Buffer.from(tail)]);
}

test('the loader is what the program header of type 3 names', () => {
  const loader = '/lib/ld.so\0';
  const program = elf(
    [
      { type: 6, offset: 64, size: 112 },
      { type: 3, offset: 176, size: loader.length },
    ],
    loader,
  );
  assert.equal(elfInterpreter(program), '/lib/ld.so');
});

test('a program without a loader, or that is none, has none', () => {
  assert.equal(elfInterpreter(elf([{ type: 1, offset: 0, size: 0 }])), undefined);
  assert.equal(elfInterpreter(Buffer.from('#!/bin/sh\n')), undefined);
  assert.equal(elfInterpreter(elf([{ type: 1, offset: 0, size: 0 }]).subarray(0, 70)), undefined);
});
