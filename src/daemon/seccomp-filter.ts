// What does the kernel ask for every system call of the daemon? A BPF program, made here from the lists in
// refused-calls.ts: a call of another architecture kills the process, a refused one fails with EACCES, an unknown one
// with ENOSYS. seccomp(2), include/uapi/linux/{seccomp,filter,audit}.h.
import { constants } from 'node:os';

import { judgedCalls, lastKnownCall, refusedCalls, startCalls, type CallNumbers } from './refused-calls.ts';

/** An architecture that there is a filter for. */
export type FilterArch = 'x64' | 'arm64';

/** `start`: from execve on; lets the program load. `run`: for good, given the daemon's own pid. */
export type FilterStage = { readonly stage: 'start' } | { readonly stage: 'run'; readonly pid: number };

/** One BPF instruction, as in struct sock_filter. */
export interface Instruction {
  readonly code: number;
  /** How many instructions to skip where a comparison holds, and where it does not. */
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

const auditArch = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
/** Calls of the x32 ABI have this bit in their number. */
const x32Bit = 0x40000000;

/** Offsets in struct seccomp_data. */
const nrOffset = 0;
const archOffset = 4;
/** The low half of an argument; all arguments that are judged here are 32 bits wide to the kernel. */
const argOffset = (index: number): number => 16 + 8 * index;

const verdict = {
  allow: 0x7fff0000,
  refuse: 0x00050000 | constants.errno.EACCES,
  unknown: 0x00050000 | constants.errno.ENOSYS,
  kill: 0x80000000,
} as const;

const load = (offset: number): Instruction => ({ code: 0x20, jt: 0, jf: 0, k: offset });
const and = (mask: number): Instruction => ({ code: 0x54, jt: 0, jf: 0, k: mask });
const equal = (k: number, jt: number, jf: number): Instruction => ({ code: 0x15, jt, jf, k });
const greater = (k: number, jt: number, jf: number): Instruction => ({ code: 0x25, jt, jf, k });
const atLeast = (k: number, jt: number, jf: number): Instruction => ({ code: 0x35, jt, jf, k });
const answer = (k: number): Instruction => ({ code: 0x06, jt: 0, jf: 0, k });

/** What an argument decides. */
interface Rule {
  readonly call: CallNumbers;
  readonly arg: number;
  /** Applied to the argument before it is compared. Default: all bits. */
  readonly mask?: number;
  /** The values that the call goes through with, all others being refused; or else those that are refused. */
  readonly only?: readonly number[];
  readonly never?: readonly number[];
}

// A new thread, without a namespace of its own; nothing else. CLONE_THREAD of the CLONE_* that matter here.
const threadFlag = 0x00010000;
const namespaceFlags = 0x7e020000;
const sockStream = 1;
// Pushing input into a terminal (TIOCSTI, TIOCLINUX), making it one's own (TIOCSCTTY), changing its driver (TIOCSETD).
const terminalRequests = [0x5412, 0x541c, 0x540e, 0x5423];
// PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_PTRACER: what ties the daemon to its starter and keeps its equals out.
const processOptions = [1, 4, 0x59616d61];

const startRules: readonly Rule[] = [
  { call: judgedCalls.clone, arg: 0, mask: threadFlag | namespaceFlags, only: [threadFlag] },
  { call: judgedCalls.ioctl, arg: 1, never: terminalRequests },
  // A datagram socket of a pair can send to any path.
  { call: judgedCalls.socketpair, arg: 1, mask: 0xf, only: [sockStream] },
];

function runRules(pid: number): readonly Rule[] {
  const { kill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, prlimit64, prctl } = judgedCalls;
  const signals = [kill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo].map((call) => ({ call, arg: 0, only: [pid] }));
  return [
    ...startRules,
    ...signals,
    { call: prlimit64, arg: 0, only: [0, pid] },
    { call: prctl, arg: 0, never: processOptions },
  ];
}

/** The architecture to filter for, undefined where there is no filter for it. */
export function filterArch(arch: string = process.arch): FilterArch | undefined {
  return arch === 'x64' || arch === 'arm64' ? arch : undefined;
}

/** The filter for one architecture and one stage of the daemon's life. */
export function seccompFilter(arch: FilterArch, stage: FilterStage): Instruction[] {
  const numberOf = ([x64, arm64]: CallNumbers): number => (arch === 'x64' ? x64 : arm64);
  const refused = Object.entries(refusedCalls)
    .filter(([name]) => stage.stage === 'run' || !startCalls.has(name))
    .map(([, numbers]) => numberOf(numbers))
    .filter((number) => number >= 0);
  const rules = stage.stage === 'run' ? runRules(stage.pid) : startRules;
  return [
    load(archOffset),
    ...unless(equal(auditArch[arch], 1, 0), verdict.kill),
    load(nrOffset),
    ...(arch === 'x64' ? unless(atLeast(x32Bit, 0, 1), verdict.refuse) : []),
    ...unless(greater(lastKnownCall, 0, 1), verdict.unknown),
    // The flags of clone3 lie in memory, where no filter sees them; without it the C library takes clone.
    ...unless(equal(numberOf(judgedCalls.clone3), 0, 1), verdict.unknown),
    ...rules.flatMap((rule) => judge(numberOf(rule.call), rule)),
    ...refused.flatMap((number) => unless(equal(number, 0, 1), verdict.refuse)),
    answer(verdict.allow),
  ];
}

/** An answer that the comparison before it may skip. */
function unless(skips: Instruction, otherwise: number): Instruction[] {
  return [skips, answer(otherwise)];
}

/** The instructions of one rule. The accumulator holds the call's number before and behind them. */
function judge(number: number, { arg, mask, only, never }: Rule): Instruction[] {
  const values = only ?? never ?? [];
  const masking = mask === undefined ? [] : [and(mask)];
  // A value that is met skips the rest of the comparisons, and the refusal too where it is one of `only`.
  const comparisons = values.map((value, i) => {
    const rest = values.length - 1 - i;
    if (only !== undefined) return equal(value, rest + 1, 0);
    return equal(value, rest, i === values.length - 1 ? 1 : 0);
  });
  const body = [load(argOffset(arg)), ...masking, ...comparisons, answer(verdict.refuse), load(nrOffset)];
  return [equal(number, 0, body.length), ...body];
}

/** The program as the kernel reads it: struct sock_filter, little-endian as both architectures are. */
export function encodeFilter(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, jt, jf, k }, i) => {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jt);
    view.setUint8(i * 8 + 3, jf);
    view.setUint32(i * 8 + 4, k, true);
  });
  return bytes;
}
