// What holds this process? An extension of fdset's own: QEMU has nothing like it, so everything begins with `x-`.
import { array, bool, command, enumeration, optional, str, struct, uint32 } from '../builders.ts';

const SandboxMode = enumeration('SandboxMode', ['off', 'try', 'on']);
const SandboxThread = enumeration('SandboxThread', ['main', 'pool', 'io-pool', 'worker']);

/** What became of opening a file in one thread, under each layer: the name of the errno, or `opened`. */
const SandboxSelfTest = struct('SandboxSelfTest', {
  thread: SandboxThread,
  landlock: optional(str),
  seccomp: optional(str),
});

/** `capabilities`: `none`, or the permitted set in hexadecimal. `missing`: sentences. */
const SandboxInfo = struct('SandboxInfo', {
  mode: SandboxMode,
  'landlock-abi': uint32,
  seccomp: bool,
  'no-new-privs': bool,
  uid: uint32,
  gid: uint32,
  capabilities: str,
  dumpable: bool,
  'self-test': array(SandboxSelfTest),
  missing: array(str),
});

export const xQuerySandbox = command('x-query-sandbox', { returns: SandboxInfo });
