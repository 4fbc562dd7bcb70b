// fdset demo: the main job from end to end, on a sample image, each step said as it is done. This is what `npm start`
// runs. Its exit code is the proof: 0 only if the sandbox held and every checksum was equal.
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { type Command, Option } from 'commander';

import { type QmpClient, QmpError } from '../client/index.ts';
import { describeSandbox, sandboxModes, type SandboxMode } from '../daemon/index.ts';
import { NbdClient } from '../nbd/index.ts';
import { CliError } from './cli-error.ts';
import { ImageServer, type ServedImage, untilInterrupted } from './image-server.ts';
import { interruption } from './interruption.ts';
import { formatFdsets } from './ls.ts';
import { openFile, openImage } from './open-file.ts';

const imageSize = 64 * 1024 * 1024;
const chunkSize = 1024 * 1024;

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .summary('the main job from end to end, on a sample image')
    .addOption(new Option('--sandbox <mode>').choices([...sandboxModes]).default('on'))
    .action(demo);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function demo({ sandbox }: { sandbox: SandboxMode }): Promise<void> {
  const interrupted = interruption();
  const folder = mkdtempSync(join(tmpdir(), 'fdset-demo-'));
  try {
    const path = join(folder, 'sample.img');
    makeSampleImage(path);
    const image = openImage(path, 'r');
    const writeFd = openFile(path, 'rw');
    try {
      say(`image    ${path}, opened read-only (fd ${image.fd.fd}) and read-write (fd ${writeFd.fd})`);
      await serveSample({ image, writeFd, exportName: '' }, sandbox, interrupted);
    } finally {
      image.fd.close();
      writeFd.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Half data, half holes. */
function makeSampleImage(path: string): void {
  const fd = openSync(path, 'wx', 0o600);
  try {
    ftruncateSync(fd, imageSize);
    for (let offset = 0; offset < imageSize; offset += 2 * chunkSize)
      writeSync(fd, randomBytes(chunkSize), 0, chunkSize, offset);
  } finally {
    closeSync(fd);
  }
}

async function serveSample(served: ServedImage, sandbox: SandboxMode, interrupted: Promise<never>): Promise<void> {
  const server = await ImageServer.start({ sandbox, interrupted });
  try {
    await Promise.race([prove(server, served), interrupted]);
    if (!process.stdin.isTTY) return;
    say('Ctrl-C ends it.');
    await untilInterrupted(server, interrupted);
  } finally {
    await server.close();
  }
}

async function prove(server: ImageServer, served: ServedImage): Promise<void> {
  say(`daemon   process ${server.pid}, monitor ${server.qmpPath}`);
  say(describeSandbox(server.sandbox).replace(/^sandbox: /, 'sandbox  '));
  const client = await server.connect();
  let fdsets: string;
  try {
    await passAndExport(server, client, served);
    fdsets = formatFdsets(await client.execute('query-fdsets'));
  } finally {
    await client.close();
  }
  await compare(server, served);
  requireRefusals(server);
  say(`\n${fdsets}\n\nNBD URI: ${server.uri(served.exportName)}`);
  say(`try:     nbdinfo '${server.uri(served.exportName)}'\n         ${programName()} ls ${server.qmpPath}`);
}

async function passAndExport(server: ImageServer, client: QmpClient, served: ServedImage): Promise<void> {
  const set = await server.passFiles(client, served);
  say(`add-fd   both fds are in set ${set}`);
  const refusal = await openByPath(client, served.image.path);
  say(`by path  blockdev-add ${served.image.path}\n         ${refusal ?? 'succeeded: there is no sandbox'}`);
  if (refusal === undefined && server.sandbox.mode !== 'off') {
    throw new CliError('the daemon opened the image by its path: the sandbox does not hold');
  }
  await server.exportImage(client, set, served);
  say(`by fd    blockdev-add /dev/fdset/${set}\n         done, and exported over NBD`);
}

/** @returns the daemon's refusal, undefined where it could open the path. */
async function openByPath(client: QmpClient, filename: string): Promise<string | undefined> {
  try {
    await client.execute('blockdev-add', { driver: 'file', 'node-name': 'by-path', filename, 'read-only': true });
  } catch (error) {
    if (error instanceof QmpError) return error.desc;
    throw error;
  }
  await client.execute('blockdev-del', { 'node-name': 'by-path' });
  return undefined;
}

/** @throws CliError where any part of the proof is not there */
function requireRefusals({ sandbox }: ImageServer): void {
  const tests = sandbox['self-test'];
  const refused = tests.every(({ landlock, seccomp }) => landlock === 'EACCES' && seccomp === 'EACCES');
  if (sandbox['landlock-abi'] > 0 && sandbox.seccomp && tests.length > 0 && refused) return;
  const why = sandbox.missing.map((sentence) => `: ${sentence}`).join('');
  throw new CliError(`the sandbox is not active (--sandbox ${sandbox.mode})${why}`);
}

/** How to call this program again: as it was called, or in a checkout, where no `fdset` is in the PATH, through npx. */
function programName(): string {
  return basename(process.argv[1]!) === 'fdset' ? 'fdset' : 'npx fdset';
}

async function compare(server: ImageServer, { image, exportName }: ServedImage): Promise<void> {
  const expected = createHash('sha256').update(readFileSync(image.path)).digest('hex');
  say(`image    sha256 ${expected}`);
  const uri = server.uri(exportName);
  const copies = [{ by: 'our client', digest: await readBack(server, exportName) }];
  const nbdcopy = copyWithNbdcopy(uri, image.path);
  if (nbdcopy !== undefined) copies.push({ by: 'nbdcopy', digest: nbdcopy });
  for (const { by, digest } of copies) {
    say(`read     sha256 ${digest} (${by}): ${digest === expected ? 'equal' : 'DIFFERENT'}`);
  }
  if (nbdcopy === undefined) say('         nbdcopy is not installed (Debian: libnbd-bin)');
  if (copies.some(({ digest }) => digest !== expected)) throw new CliError('what was read back differs from the image');
}

async function readBack({ nbdAddress }: ImageServer, exportName: string): Promise<string> {
  if (nbdAddress.type !== 'unix') throw new CliError('the demo serves on a Unix socket');
  const client = await NbdClient.connect({ path: nbdAddress.path }, { exportName });
  try {
    const hash = createHash('sha256');
    for (let offset = 0; offset < client.size; offset += chunkSize) {
      hash.update(await client.read(offset, Math.min(chunkSize, client.size - offset)));
    }
    return hash.digest('hex');
  } finally {
    await client.disconnect();
  }
}

/** @returns the checksum of what nbdcopy has copied, undefined where it is not installed. */
function copyWithNbdcopy(uri: string, imagePath: string): string | undefined {
  const copy = `${imagePath}.copy`;
  const { error, status, stderr } = spawnSync('nbdcopy', [uri, copy], { encoding: 'utf8', timeout: 60_000 });
  if (error && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  if (status !== 0) throw new CliError(`nbdcopy failed: ${stderr.trim() || String(error)}`);
  return createHash('sha256').update(readFileSync(copy)).digest('hex');
}
