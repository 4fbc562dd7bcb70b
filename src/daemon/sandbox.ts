// What does the daemon give up itself, and does it all hold? The second layer of the sandbox and the proof of both: the
// first one, Landlock and a first seccomp filter, the starter put around the process before it began.
//
// Called when every module is loaded: nothing can be opened afterwards, not even by an import().
import { fileURLToPath } from 'node:url';

import { installSeccompFilter, processRights, setDumpable } from '../addon/index.ts';
import { FdsetError } from '../errors.ts';
import { declareInheritedFds } from '../fds/index.ts';
import { StarterLink, takeOrder, type SandboxOrder } from './sandbox-order.ts';
import type { OpenOutcome, SandboxReport, SelfTestResult } from './sandbox-report.ts';
import { encodeFilter, filterArch, seccompFilter } from './seccomp-filter.ts';
import { startSelfTest, type SelfTest } from './self-test.ts';

/** The daemon behind closed doors, and its word to the starter. */
export interface Sandbox {
  readonly report: SandboxReport;
  /** Tells the starter that the daemon serves. Without a starter nothing happens. */
  ready(): void;
  /** Tells the starter why the daemon cannot start. */
  failed(error: unknown): void;
}

/**
 * Closes the doors that the starter's order names, and proves that they are closed. To be called before inherited fds
 * are asked for: the order says which there are.
 * @throws FdsetError `ERR_FDSET_SANDBOX`: something that had to be refused was not; the starter has been told.
 */
export async function enterSandbox(order: SandboxOrder | undefined = takeOrder()): Promise<Sandbox> {
  if (order === undefined) return { report: reportOf('off', [], []), ready() {}, failed() {} };
  declareInheritedFds(order.fds);
  const link = new StarterLink(order.reportFd);
  const failed = (error: unknown): void => link.tell({ error: error instanceof Error ? error.message : String(error) });
  try {
    const report = await closeDoors(order);
    return { report, ready: () => link.tell({ ready: report }), failed };
  } catch (error) {
    failed(error);
    throw error;
  }
}

async function closeDoors(order: SandboxOrder): Promise<SandboxReport> {
  const { mode, missing, landlockAbi } = order;
  if (mode === 'off') return reportOf(mode, [], missing);
  const selfTest = startSelfTest();
  try {
    // Before the filter, so that it is Landlock that refuses.
    const landlock = landlockAbi > 0 ? await proveClosed(selfTest, 'Landlock', order.probe) : undefined;
    setDumpable(false);
    if (order.seccomp) installSeccompFilter(runFilter());
    // A file that Landlock allows, so that it is the filter that refuses.
    const seccomp = order.seccomp ? await proveClosed(selfTest, 'seccomp', fileURLToPath(import.meta.url)) : undefined;
    const report = reportOf(mode, joinResults(landlock, seccomp), missing, landlockAbi);
    requireNoRights(report);
    return report;
  } finally {
    await selfTest.end();
  }
}

function runFilter(): Uint8Array {
  const arch = filterArch();
  if (arch === undefined) throw broken(`there is no seccomp filter for ${process.arch}`);
  return encodeFilter(seccompFilter(arch, { stage: 'run', pid: process.pid }));
}

type Outcomes = ReadonlyMap<SelfTestResult['thread'], OpenOutcome>;

async function proveClosed(selfTest: SelfTest, layer: string, path: string): Promise<Outcomes> {
  const outcomes = await selfTest.tryOpen(path);
  for (const [thread, outcome] of outcomes) {
    if (outcome !== 'EACCES') throw broken(`${layer} does not hold in ${thread}: ${path}: ${outcome}`);
  }
  return outcomes;
}

function joinResults(landlock: Outcomes | undefined, seccomp: Outcomes | undefined): SelfTestResult[] {
  const threads = [...(landlock ?? seccomp ?? new Map<SelfTestResult['thread'], OpenOutcome>()).keys()];
  return threads.map((thread) => {
    const first = landlock?.get(thread);
    const second = seccomp?.get(thread);
    return {
      thread,
      ...(first === undefined ? {} : { landlock: first }),
      ...(second === undefined ? {} : { seccomp: second }),
    };
  });
}

/** What every sandboxed daemon must have lost, whatever else the system lacks. */
function requireNoRights(report: SandboxReport): void {
  if (report.capabilities !== 'none') throw broken(`the process still has capabilities: ${report.capabilities}`);
  if (!report['no-new-privs']) throw broken('no_new_privs is not set');
}

function broken(reason: string): FdsetError {
  return new FdsetError('ERR_FDSET_SANDBOX', `the sandbox is not closed: ${reason}`);
}

function reportOf(
  mode: SandboxReport['mode'],
  selfTest: readonly SelfTestResult[],
  missing: readonly string[],
  landlockAbi = 0,
): SandboxReport {
  const rights = processRights();
  const has = rights.permitted !== 0 ? rights.permitted : rights.effective;
  return {
    mode,
    'landlock-abi': landlockAbi,
    seccomp: rights.seccompMode === 2 && mode !== 'off',
    'no-new-privs': rights.noNewPrivs === 1,
    uid: process.getuid!(),
    gid: process.getgid!(),
    capabilities: has === 0 ? 'none' : `0x${has.toString(16)}`,
    dumpable: rights.dumpable === 1,
    'self-test': selfTest,
    missing,
  };
}
