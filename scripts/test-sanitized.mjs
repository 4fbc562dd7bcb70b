// Runs the tests that exercise native code under AddressSanitizer and UndefinedBehaviorSanitizer.
//
// Node itself is not instrumented, so the runtime is preloaded, and leaks of Node's own are not looked for.
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAddon } from './build-addon.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const addon = buildAddon({ sanitize: true });
const libraryOf = (name) =>
  execFileSync(process.env.CC ?? 'cc', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();

const folders = ['addon', 'fds', 'socket', 'leaks', 'chardev'];
const files = folders.flatMap((folder) =>
  readdirSync(join(root, 'dist', 'test', folder))
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(root, 'dist', 'test', folder, name)),
);
const env = {
  ...process.env,
  FDSET_ADDON: addon,
  LD_PRELOAD: `${libraryOf('libasan.so')} ${libraryOf('libubsan.so')}`,
  // What is freed stays in the quarantine: without a bound it would look like a leak to test/leaks/.
  ASAN_OPTIONS: 'detect_leaks=0:quarantine_size_mb=16:abort_on_error=1:handle_segv=0',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
};
const { status } = spawnSync(process.execPath, ['--test', '--test-reporter=dot', '--test-concurrency=2', ...files], {
  stdio: 'inherit',
  cwd: root,
  env,
});
process.exit(status ?? 1);
