// Character devices: what a monitor listens on. Read chardev.ts and null.ts first, then socket.ts; character-devices.ts
// has those of a program by id, open.ts makes one as an option or chardev-add describes it.
//
// Source: QEMU's chardev/ as seen from outside: docs/reference/qmp.md section 1, docs/reference/chardev.md.
export { SocketChardev, type SocketAddress, type SocketChardevOptions } from './socket.ts';
export type { CharChannel, Chardev, CharFrontend, CharHandlers, ListedChardev, OpenChannel } from './chardev.ts';
export { CharacterDevices } from './character-devices.ts';
export { checkLogfile, checkSocketOptions, flattenAddress, reconnectDelay, type ChardevContext } from './open.ts';
export { chardevBackends } from './backends.ts';
export { parseChardevOption } from './option.ts';
export { CHARDEV_RULES_10_0, CHARDEV_RULES_7_2, type ChardevRules } from './rules.ts';
export { RingbufChardev } from './ringbuf.ts';
