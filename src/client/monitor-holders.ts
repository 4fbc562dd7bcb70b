// Who holds a QMP monitor? A QMP socket serves one client at a time and a second one waits in silence, so a tool that
// gets no greeting says whom it waits for.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';

import { unixSocketPeers } from '../addon/index.ts';

/** A process that has a connection to a monitor's socket. */
export interface MonitorHolder {
  readonly pid: number;
  /** The name of the program as it was called, without its folder. */
  readonly command: string;
}

/**
 * The other processes connected to the Unix socket at `path`, as far as this user may see them; this process's own
 * connection is left out. Empty where nothing can be known.
 */
export function findMonitorHolders(path: string): MonitorHolder[] {
  try {
    const sockets = new Set(unixSocketPeers(statSync(path).ino).map((inode) => `socket:[${inode}]`));
    if (sockets.size === 0) return [];
    return processIds()
      .filter((pid) => pid !== process.pid && hasOpen(pid, sockets))
      .map((pid) => ({ pid, command: commandOf(pid) }));
  } catch {
    return []; // no such file, a kernel without socket diagnostics, no /proc
  }
}

function processIds(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function hasOpen(pid: number, links: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => links.has(linkOf(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return false; // another user's process, or one that has just ended
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Not /proc/PID/comm: that is the name of a thread, for Node 24 `MainThread`, and of at most 15 bytes. */
function commandOf(pid: number): string {
  try {
    const [program] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return basename(program!) || '?';
  } catch {
    return '?';
  }
}
