#!/usr/bin/env node
// fdset-storage-daemon: the storage daemon under a name of its own, and the program that a starter runs in the sandbox.
import { storageDaemonMain } from '../daemon/index.ts';

process.exit(await storageDaemonMain(process.argv.slice(2), 'fdset-storage-daemon'));
