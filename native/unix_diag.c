// Who is connected to a Unix socket that is bound to a file? Asks the kernel's socket diagnostics (sock_diag(7)) for
// the connected sockets whose bound file has a given inode, and returns the inodes of their peers' sockets.
//
// A listening socket hands its address to the sockets it accepts, so the server's end of each connection shows the
// bound file (UNIX_DIAG_VFS), and the other end is its UNIX_DIAG_PEER.
#include "fdset.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STATE_ESTABLISHED = 1, MAX_PEERS = 64 };

struct peers {
  uint32_t inodes[MAX_PEERS];
  size_t count;
};

static int send_request(int fd) {
  struct {
    struct nlmsghdr header;
    struct unix_diag_req request;
  } message = {
      .header = {.nlmsg_len = sizeof message,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
      .request = {.sdiag_family = AF_UNIX,
                  .udiag_states = 1u << STATE_ESTABLISHED,
                  .udiag_show = UDIAG_SHOW_VFS | UDIAG_SHOW_PEER},
  };
  return send(fd, &message, sizeof message, 0) < 0 ? -errno : 0;
}

static void add_peer(const struct nlmsghdr *header, uint32_t bound_inode, struct peers *peers) {
  const struct unix_diag_msg *message = NLMSG_DATA(header);
  unsigned int left = (unsigned int)NLMSG_PAYLOAD(header, sizeof *message);
  struct unix_diag_vfs vfs = {0};
  uint32_t peer = 0;
  for (const struct rtattr *attribute = (const struct rtattr *)(message + 1); RTA_OK(attribute, left);
       attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type == UNIX_DIAG_VFS) memcpy(&vfs, RTA_DATA(attribute), sizeof vfs);
    if (attribute->rta_type == UNIX_DIAG_PEER) memcpy(&peer, RTA_DATA(attribute), sizeof peer);
  }
  if (vfs.udiag_vfs_ino == bound_inode && peer != 0 && peers->count < MAX_PEERS) peers->inodes[peers->count++] = peer;
}

// 1 when the dump is complete, 0 when there is more to receive, -errno.
static int read_part(int fd, uint32_t bound_inode, struct peers *peers) {
  _Alignas(struct nlmsghdr) char buffer[32768];
  ssize_t received = recv(fd, buffer, sizeof buffer, 0);
  if (received < 0) return errno == EINTR ? 0 : -errno;
  size_t left = (size_t)received;
  for (const struct nlmsghdr *header = (const struct nlmsghdr *)buffer; NLMSG_OK(header, left);
       header = NLMSG_NEXT(header, left)) {
    if (header->nlmsg_type == NLMSG_DONE) return 1;
    if (header->nlmsg_type == NLMSG_ERROR) return -EIO;
    if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY) add_peer(header, bound_inode, peers);
  }
  return 0;
}

static int dump_peers(uint32_t bound_inode, struct peers *peers) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return -errno;
  int result = send_request(fd);
  while (result == 0) result = read_part(fd, bound_inode, peers);
  close(fd);
  return result < 0 ? result : 0;
}

// unixSocketPeers(inode: number): number[] | -errno
static napi_value unix_socket_peers(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int64_t inode = 0;
  if (!take_args(env, info, 1, args) || !arg_offset(env, args[0], &inode)) return NULL;
  struct peers peers = {0};
  int result = dump_peers((uint32_t)inode, &peers); // the kernel reports the low 32 bits
  if (result < 0) return int_result(env, result);
  napi_value list = NULL;
  if (napi_create_array_with_length(env, peers.count, &list) != napi_ok) return NULL;
  for (size_t i = 0; i < peers.count; i++) {
    napi_set_element(env, list, (uint32_t)i, number_result(env, peers.inodes[i]));
  }
  return list;
}

bool unix_diag_init(napi_env env, napi_value exports) {
  static const struct exported_function functions[] = {{"unixSocketPeers", unix_socket_peers}};
  return export_functions(env, exports, functions, COUNT_OF(functions));
}
