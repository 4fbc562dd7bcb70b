// A folder for the files of one test file, gone after its tests.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fdset-test-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
