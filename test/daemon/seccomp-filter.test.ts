import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, test } from 'node:test';

import {
  judgedCalls,
  lastKnownCall,
  refusedCalls,
  startCalls,
  type CallNumbers,
} from '../../src/daemon/refused-calls.ts';
import { encodeFilter, seccompFilter, type FilterArch, type FilterStage } from '../../src/daemon/seccomp-filter.ts';

const auditArch = { x64: 0xc000003e, arm64: 0xc00000b7, i386: 0x40000003 };
const run: FilterStage = { stage: 'run', pid: 4711 };
const start: FilterStage = { stage: 'start' };
const archs: readonly FilterArch[] = ['x64', 'arm64'];

/** What the kernel would do: its interpreter of the few instructions there are, reading the encoded program. */
function verdict(program: Uint8Array, arch: number, number: number, args: readonly number[] = []): string {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  args.forEach((arg, i) => data.setUint32(16 + 8 * i, arg, true));
  const view = new DataView(program.buffer);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const [code, jt, jf] = [view.getUint16(at * 8, true), view.getUint8(at * 8 + 2), view.getUint8(at * 8 + 3)];
    const k = view.getUint32(at * 8 + 4, true);
    if (code === 0x20) accumulator = data.getUint32(k, true);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x25) at += accumulator > k ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else if (code === 0x06) return nameOf(k);
    else assert.fail(`instruction ${at} has the unknown code ${code}`);
  }
  return assert.fail('the program runs off its end');
}

function nameOf(answer: number): string {
  if (answer === 0x7fff0000) return 'allow';
  if (answer === 0x80000000) return 'kill';
  const errno = Object.entries(constants.errno).find(([, value]) => value === (answer & 0xffff));
  return errno?.[0] ?? `answer ${answer}`;
}

function filterFor(arch: FilterArch, stage: FilterStage) {
  const program = encodeFilter(seccompFilter(arch, stage));
  const numberOf = ([x64, arm64]: CallNumbers): number => (arch === 'x64' ? x64 : arm64);
  return (call: number | CallNumbers, ...args: number[]) =>
    verdict(program, auditArch[arch], typeof call === 'number' ? call : numberOf(call), args);
}

for (const arch of archs) {
  describe(`the filter for ${arch}`, () => {
    const asked = filterFor(arch, run);
    const existing = Object.entries(refusedCalls).filter(([, numbers]) => numbers[arch === 'x64' ? 0 : 1] >= 0);

    test('refuses every call of the lists', () => {
      for (const [name, numbers] of existing) assert.equal(asked(numbers), 'EACCES', name);
    });

    test('lets a program start, and only that, at first', () => {
      const atFirst = filterFor(arch, start);
      const through = existing.filter(([, numbers]) => atFirst(numbers) === 'allow').map(([name]) => name);
      assert.deepEqual(
        through,
        [...startCalls].filter((name) => existing.some(([other]) => other === name)),
      );
    });

    test('allows every other call that is known, and no unknown one', () => {
      const index = arch === 'x64' ? 0 : 1;
      const named = new Set([...Object.values(refusedCalls), ...Object.values(judgedCalls)].map((call) => call[index]));
      for (let number = 0; number <= lastKnownCall; number++) {
        if (!named.has(number)) assert.equal(asked(number), 'allow', `call ${number}`);
      }
      for (const number of [lastKnownCall + 1, 1000]) assert.equal(asked(number), 'ENOSYS');
    });

    test('allows threads but no processes and no namespaces', () => {
      const thread = 0x3d0f00; // what the C library passes
      assert.equal(asked(judgedCalls.clone, thread), 'allow');
      assert.equal(asked(judgedCalls.clone, 17), 'EACCES');
      for (const namespace of [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]) {
        assert.equal(asked(judgedCalls.clone, thread | namespace), 'EACCES');
      }
      assert.equal(asked(judgedCalls.clone3), 'ENOSYS');
    });

    test('allows signals to the process itself alone', () => {
      const { kill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo } = judgedCalls;
      for (const call of [kill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo]) {
        assert.equal(asked(call, 4711), 'allow');
        for (const pid of [1, 0, 0xffffffff, 0xffffffff - 4711 + 1]) assert.equal(asked(call, pid), 'EACCES');
      }
    });

    test('allows the limits of the process itself alone', () => {
      assert.equal(asked(judgedCalls.prlimit64, 0), 'allow');
      assert.equal(asked(judgedCalls.prlimit64, 4711), 'allow');
      assert.equal(asked(judgedCalls.prlimit64, 1), 'EACCES');
    });

    test('allows pairs of stream sockets, close-on-exec or not', () => {
      const closeOnExec = 0o2000000;
      assert.equal(asked(judgedCalls.socketpair, 1, 1), 'allow');
      assert.equal(asked(judgedCalls.socketpair, 1, 1 | closeOnExec), 'allow');
      for (const type of [2, 3, 5]) assert.equal(asked(judgedCalls.socketpair, 1, type | closeOnExec), 'EACCES');
    });

    test('refuses what drives a terminal and lets other requests through', () => {
      for (const request of [0x5412, 0x541c, 0x540e, 0x5423]) {
        assert.equal(asked(judgedCalls.ioctl, 1, request), 'EACCES');
      }
      for (const request of [0x5411, 0x5413, 0x5421, 0x1277]) {
        assert.equal(asked(judgedCalls.ioctl, 1, request), 'allow');
      }
    });

    test('refuses what would loosen the tie to the starter and lets threads be named', () => {
      for (const option of [1, 4, 0x59616d61]) assert.equal(asked(judgedCalls.prctl, option), 'EACCES');
      for (const option of [15, 38, 0]) assert.equal(asked(judgedCalls.prctl, option), 'allow');
    });

    test('kills a process that calls through another architecture', () => {
      const program = encodeFilter(seccompFilter(arch, run));
      assert.equal(verdict(program, auditArch.i386, 5), 'kill');
      assert.equal(verdict(program, auditArch[arch === 'x64' ? 'arm64' : 'x64'], 5), 'kill');
    });
  });
}

test('the filter for x64 refuses all calls of the x32 ABI', () => {
  const asked = filterFor('x64', run);
  for (const number of [0x40000000, 0x40000001, 0x40000200, 0xffffffff]) assert.equal(asked(number), 'EACCES');
});

const headers = [
  { index: 0, path: '/usr/include/x86_64-linux-gnu/asm/unistd_64.h' },
  { index: 1, path: '/usr/include/asm-generic/unistd.h' },
] as const;

for (const { index, path } of headers) {
  test(`the numbers are those of ${path}`, { skip: !existsSync(path) && 'needs the kernel headers' }, () => {
    const text = readFileSync(path, 'utf8');
    const known = new Map(
      [...text.matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)$/gm)].map((m) => [m[1]!, Number(m[2])]),
    );
    const compared = Object.entries({ ...refusedCalls, ...judgedCalls }).filter(([name]) => known.has(name));
    assert.ok(compared.length > 100);
    for (const [name, numbers] of compared) assert.equal(numbers[index], known.get(name), name);
  });
}
