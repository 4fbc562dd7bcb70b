// Character devices: what a monitor listens on. Read socket.ts first.
//
// Source: QEMU's chardev/char-socket.c as seen from outside: qmp.md section 1.
export { SocketChardev, type SocketAddress } from './socket.ts';
export type { CharChannel, Chardev, CharFrontend } from './chardev.ts';
