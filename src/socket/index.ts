// How do bytes and the fds that belong to them go over stream sockets? Channels, listeners and connecting; no protocol.
//
// Read channel.ts first; which byte an fd came with is found out in native/fd_receive.c. Sources: unix(7), cmsg(3);
// docs/reference/fdset.md section 1 for what an fd that comes later does to an earlier one.
export { openChannel, type Channel, type ChannelHandlers, type ChannelOptions } from './channel.ts';
export {
  adoptListener,
  listenInet,
  listenUnix,
  type Listener,
  type ListenOptions,
  type ListenUnixOptions,
} from './listener.ts';
export { connectInet, connectUnix, type ConnectOptions } from './connect.ts';
export { connectTo, listenOn, type TakeFd } from './qemu-sockets.ts';
export { formatAddress, type InetSocketAddress, type SocketAddress, type UnixSocketAddress } from './address.ts';
export type { PeerCredentials } from '../addon/index.ts';
