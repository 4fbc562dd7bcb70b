// Other people's programs, run beside a server in this process; a test that needs one that is missing skips and says so.
import { spawn, spawnSync } from 'node:child_process';

// The Python that finds the distribution's modules (libnbd's among them) comes first.
const env = { ...process.env, PATH: `/usr/bin:${process.env['PATH']}`, LC_ALL: 'C.UTF-8' };

/** Why tests with `program` are skipped: false where it can be run with these arguments. */
export function missing(program: string, ...args: string[]): string | false {
  const { error, status } = spawnSync(program, args.length > 0 ? args : ['--version'], { env, stdio: 'ignore' });
  if (error !== undefined) return `${program} is not installed`;
  return status === 0 ? false : `${program} ${args.join(' ')} fails here`;
}

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, for a minute at most, with `input` on its standard input. */
export function run(program: string, args: readonly string[], input = ''): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, timeout: 60_000 });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Runs a program that has to succeed, and gives what it printed. */
export async function succeed(program: string, args: readonly string[], input = ''): Promise<string> {
  const { status, stdout, stderr } = await run(program, args, input);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}
