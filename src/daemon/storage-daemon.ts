// What does a storage daemon consist of? Fd sets, block nodes, exports and monitors, made as its options and QMP
// commands say, and taken down in the reverse order. As QEMU's storage-daemon/qemu-storage-daemon.c.
import { BlockGraph, fileOpener } from '../block/index.ts';
import { CharacterDevices } from '../chardev/index.ts';
import { FdsetTable, type OwnedFd } from '../fds/index.ts';
import {
  CommandRegistry,
  createMonitorShared,
  type Monitor,
  type MonitorShared,
  type Profile,
  registerCharCommands,
  registerControlCommands,
  registerFdCommands,
  registerIntrospectCommands,
  registerJobCommands,
  registerLedgerCommands,
  registerYankCommands,
} from '../monitor/index.ts';
import { ObjectTree } from '../qom/index.ts';
import { BlockExports } from './block-exports.ts';
import { registerBlockCommands } from './commands/block.ts';
import { registerExportCommands } from './commands/export.ts';
import { registerNbdCommands } from './commands/nbd.ts';
import { registerObjectCommands } from './commands/object.ts';
import { registerSandboxCommands } from './commands/sandbox.ts';
import type { InheritedFds } from './inherited-fds.ts';
import { explainSandbox } from './sandbox-hint.ts';
import type { SandboxReport } from './sandbox-report.ts';

export interface StorageDaemonOptions {
  /** The version of QEMU to behave as. */
  readonly profile: Profile;
  /** Called once the reply to `quit` has left, when everything is closed. */
  readonly onQuit: () => void;
  /** What `x-query-sandbox` answers. */
  readonly sandbox: SandboxReport;
  readonly inheritedFds: InheritedFds;
  /** Whether whoever has connected may stay. The fd is lent. */
  readonly accepts: (connection: OwnedFd) => boolean;
  /** Whether the program is in the background. Default: false. */
  readonly daemonized?: boolean;
  /** Where a sentence for the user goes. */
  readonly report: (message: string) => void;
}

export class StorageDaemon {
  readonly fdsets: FdsetTable;
  /** What was handed over at the start and the options have not given away yet. */
  readonly inheritedFds: InheritedFds;
  readonly registry: CommandRegistry;
  readonly chardevs: CharacterDevices;
  readonly monitors: Monitor[] = [];
  readonly shared: MonitorShared;
  readonly graph: BlockGraph;
  readonly exports: BlockExports;
  readonly objects: ObjectTree;
  #stopped: Promise<void> | undefined;

  constructor(options: StorageDaemonOptions) {
    this.inheritedFds = options.inheritedFds;
    this.chardevs = new CharacterDevices({
      accepts: options.accepts,
      report: options.report,
      daemonized: options.daemonized ?? false,
      explain: explainSandbox(options.sandbox),
      rules: options.profile.chardevs,
    });
    this.registry = new CommandRegistry(options.profile.revision);
    this.fdsets = new FdsetTable(options.profile.fdsets);
    this.shared = createMonitorShared(this.registry, options.profile);
    this.shared.clients.onChange = (count) => this.fdsets.setMonitorClients(count);
    this.graph = new BlockGraph({ openFile: fileOpener(this.fdsets), rules: options.profile.block });
    this.objects = new ObjectTree({
      chardevs: () =>
        [...this.chardevs].map((one) => ({ id: one.id, className: `chardev-${this.chardevs.kindOf(one)}` })),
      emptyContainers: options.profile.emptyContainers,
    });
    this.exports = new BlockExports(this.graph, this.shared.events, {
      accepts: options.accepts,
      hasIothread: (id) => this.objects.find(id, 'iothread') !== undefined,
    });
    this.#registerCommands(options);
  }

  #registerCommands(options: StorageDaemonOptions): void {
    registerControlCommands(this.registry, {
      profile: this.shared.profile,
      beforeQuit: () => this.exports.shutDown(),
      onQuit: options.onQuit,
    });
    registerIntrospectCommands(this.registry);
    registerJobCommands(this.registry, new Map());
    registerFdCommands(this.registry, this.fdsets);
    registerLedgerCommands(this.registry, {
      fdsets: this.fdsets,
      events: this.shared.requestedEvents,
      exportsByHolder: () => this.exports.byFileHolder(),
      onWarning: (text) => process.stderr.write(`fdset-storage-daemon: warning: ${text}\n`),
    });
    registerCharCommands(this.registry, this.chardevs);
    registerYankCommands(this.registry, this.chardevs);
    registerBlockCommands(this.registry, this.graph);
    registerExportCommands(this.registry, this.exports);
    registerNbdCommands(this.registry, this.exports, this.inheritedFds, explainSandbox(options.sandbox));
    registerObjectCommands(this.registry, this.objects);
    registerSandboxCommands(this.registry, options.sandbox);
  }

  /** Ends exports, nodes, monitors and sets, in this order. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    await this.exports.shutDown();
    await this.graph.close();
    await Promise.all(this.monitors.map((monitor) => monitor.close()));
    this.chardevs.close();
    this.fdsets[Symbol.dispose]();
    this.inheritedFds.close();
  }
}
