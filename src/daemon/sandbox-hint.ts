// What can a client do where the sandbox has refused? The error says so, behind QEMU's words.
import { SystemError } from '../addon/index.ts';
import type { FdsetError } from '../errors.ts';
import type { SandboxReport } from './sandbox-report.ts';

/** What an error says, with the way out where the sandbox is the reason. */
export type Explain = (error: FdsetError) => string;

export function explainSandbox(report: SandboxReport): Explain {
  const closed = report['landlock-abi'] > 0 || report.seccomp;
  return (error) => (closed && isRefusal(error) ? `${error.message}: ${hint}` : error.message);
}

const hint = "this daemon is in a sandbox: pass a socket with getfd and use an address of type 'fd'";

/** Whether an error, or what has caused it, is EACCES. */
function isRefusal(error: unknown): boolean {
  if (error instanceof SystemError) return error.errnoName === 'EACCES';
  return error instanceof Error && isRefusal(error.cause);
}
