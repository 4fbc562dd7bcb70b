// QEMU's block layer in small: nodes over files, devices and nothing, with permissions, image locks and users.
//
// Read graph.ts first (nodes and who uses them), then backend.ts (what an export does with one); drivers/null-co.ts is
// the smallest driver. Sources: QEMU's qapi/block-core.json, docs/reference/storage-daemon.md §2 and §4, fdset.md §6-9.
export { BlockGraph, type AttachOptions, type BlockGraphOptions, type FoundNode } from './graph.ts';
export { BlockBackend } from './backend.ts';
export { BLOCK_RULES_10_0, BLOCK_RULES_7_2, type BlockRules } from './rules.ts';
export { fileOpener, openPath, type OpenedFile, type OpenFile } from './open-file.ts';
export { driverNames } from './drivers/index.ts';
export type { BlockdevOptions } from './options.ts';
export type { BlockStatusExtent, Extent, IoLimits } from './node.ts';
export type { BlockLimits } from './limits.ts';
export { allPermissions, Permission } from './permissions.ts';
