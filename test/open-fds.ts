// How many fds does a test file leave open? Call checkOpenFds() once at the top of a test file: it counts this
// process's fds before the first test and after the last, and fails the file where they differ.
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

/** The open fds of this process with what each is, Node's own included, the listing's own left out. */
export function openFds(): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      found.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // the fd that read the directory is gone by now
    }
  }
  return found;
}

/** Registers hooks that compare the open fds before and after the tests of this file. */
export function checkOpenFds(): void {
  let atStart: Map<number, string>;
  before(() => {
    atStart = openFds();
  });
  after(async () => {
    let left = leaked(atStart);
    // A close that the event loop has queued may still be on its way.
    for (let tries = 0; left.length > 0 && tries < 50; tries++) {
      await sleep(20);
      left = leaked(atStart);
    }
    assert.deepEqual(left, [], 'fds left open by this test file');
  });
}

function leaked(atStart: Map<number, string>): string[] {
  const now = openFds();
  if (now.size <= atStart.size) return [];
  return [...now].filter(([fd]) => !atStart.has(fd)).map(([fd, link]) => `${fd} -> ${link}`);
}
