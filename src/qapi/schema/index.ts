// The schema: QEMU 10.0's modules, by QEMU's names. Commands and events are camelCase (`add-fd` is `addFd`), types have
// QEMU's names, each a value and the TypeScript type of its values. Members stand in QEMU's order, which decides the
// error that is reported first. Start with misc.ts, the smallest with commands, results and options.
export * from './misc.ts';
export * from './control.ts';
export * from './introspect.ts';
export * from './sockets.ts';
export * from './block-core.ts';
export * from './blockdev-options.ts';
export * from './block-dirty-bitmap.ts';
export * from './image-info.ts';
export * from './block-export.ts';
export * from './job.ts';
export * from './transaction.ts';
export * from './char.ts';
export * from './yank.ts';
export * from './qom.ts';
export * from './common.ts';
export * from './x-sandbox.ts';
export * from './x-fds.ts';
