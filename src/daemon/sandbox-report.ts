// What holds? The answer of `x-query-sandbox`, the line in the log, and what `serve` prints. Pure.
import type { SandboxMode } from './sandbox-order.ts';

/** What became of an open() that must fail: `EACCES` as it should, another errno, or `opened`. */
export type OpenOutcome = string;

/** Where the self-test ran, and what it met under each layer; a layer that is not there was not tried. */
export interface SelfTestResult {
  readonly thread: 'main' | 'pool' | 'io-pool' | 'worker';
  readonly landlock?: OpenOutcome;
  readonly seccomp?: OpenOutcome;
}

/** Members are named as on the wire. */
export interface SandboxReport {
  readonly mode: SandboxMode;
  /** The Landlock ABI in force, 0 where there is no domain. */
  readonly 'landlock-abi': number;
  /** Is a seccomp filter of ours on every thread? */
  readonly seccomp: boolean;
  readonly 'no-new-privs': boolean;
  readonly uid: number;
  readonly gid: number;
  /** `none`, or the permitted set in hexadecimal. */
  readonly capabilities: string;
  /** May others under the same uid trace the process or have it dump core? */
  readonly dumpable: boolean;
  readonly 'self-test': readonly SelfTestResult[];
  /** Sentences: which protection is not there, and why. */
  readonly missing: readonly string[];
}

/** One line for people, without the newline. */
export function describeSandbox(report: SandboxReport): string {
  if (report.mode === 'off') return 'sandbox: off';
  const parts = [
    report['landlock-abi'] > 0 ? `Landlock ABI ${report['landlock-abi']}` : 'no Landlock',
    report.seccomp ? 'seccomp' : 'no seccomp',
    `uid ${report.uid}`,
    report.capabilities === 'none' ? 'no capabilities' : `capabilities ${report.capabilities}`,
  ];
  const threads = report['self-test'].map(({ thread }) => thread).join(', ');
  const tested = threads === '' ? '' : `; opening a file was refused in ${threads}`;
  const missing = report.missing.map((sentence) => `; ${sentence}`).join('');
  return `sandbox: ${parts.join(', ')}${tested}${missing}`;
}
