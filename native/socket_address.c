// Where is a socket? Making, binding and connecting sockets, and their addresses. An address goes through TypeScript as
// the bytes of its struct sockaddr.
#include "fd_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static napi_value bytes_result(napi_env env, const void *bytes, size_t length) {
  napi_value result = NULL;
  napi_create_buffer_copy(env, length, bytes, NULL, &result);
  return result;
}

// (path as bytes; an abstract name begins with a zero byte): the address, or -ENAMETOOLONG.
static napi_value unix_address(napi_env env, napi_callback_info info) {
  napi_value args[1];
  uint8_t *path;
  size_t length;
  if (!take_args(env, info, 1, args) || !arg_bytes(env, args[0], &path, &length)) return NULL;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (length > sizeof address.sun_path) return int_result(env, -ENAMETOOLONG);
  memcpy(address.sun_path, path, length);
  return bytes_result(env, &address, offsetof(struct sockaddr_un, sun_path) + length);
}

// (numeric host, port): the address, or -EINVAL where the host is none.
static napi_value inet_address(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int port;
  if (!take_args(env, info, 2, args) || !arg_int(env, args[1], &port)) return NULL;
  char *host = arg_string(env, args[0], NULL);
  if (host == NULL) return NULL;
  char service[16];
  snprintf(service, sizeof service, "%d", port);
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  int error = getaddrinfo(host, service, &hints, &found);
  free(host);
  if (error != 0 || found == NULL) return int_result(env, -EINVAL);
  napi_value result = bytes_result(env, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return result;
}

// (address): a stream socket of its family, close-on-exec and non-blocking, or -errno.
static napi_value make_socket(napi_env env, napi_callback_info info) {
  napi_value args[1];
  uint8_t *address;
  size_t length;
  if (!take_args(env, info, 1, args) || !arg_bytes(env, args[0], &address, &length)) return NULL;
  struct sockaddr header;
  if (length < sizeof header.sa_family) return int_result(env, -EINVAL);
  memcpy(&header.sa_family, address, sizeof header.sa_family);
  return syscall_result(env, socket(header.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

typedef int (*address_call)(int fd, const struct sockaddr *address, socklen_t length);

static napi_value call_with_address(napi_env env, napi_callback_info info, address_call call) {
  napi_value args[2];
  int fd;
  uint8_t *bytes;
  size_t length;
  struct sockaddr_storage address = {0};
  if (!take_args(env, info, 2, args) || !arg_fd(env, args[0], &fd) || !arg_bytes(env, args[1], &bytes, &length)) {
    return NULL;
  }
  if (length > sizeof address) return int_result(env, -EINVAL);
  memcpy(&address, bytes, length);
  return syscall_result(env, call(fd, (const struct sockaddr *)&address, (socklen_t)length));
}

static int bind_call(int fd, const struct sockaddr *address, socklen_t length) { return bind(fd, address, length); }

static int connect_call(int fd, const struct sockaddr *address, socklen_t length) {
  int result;
  do {
    result = connect(fd, address, length);
  } while (result < 0 && errno == EINTR);
  return result;
}

static napi_value bind_socket(napi_env env, napi_callback_info info) { return call_with_address(env, info, bind_call); }

static napi_value connect_socket(napi_env env, napi_callback_info info) {
  return call_with_address(env, info, connect_call);
}

static napi_value listen_socket(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int fd, backlog;
  if (!take_args(env, info, 2, args) || !arg_fd(env, args[0], &fd) || !arg_int(env, args[1], &backlog)) return NULL;
  return syscall_result(env, listen(fd, backlog));
}

// (fd, name of the option, on)
static napi_value set_option(napi_env env, napi_callback_info info) {
  static const struct {
    const char *name;
    int level, option;
  } options[] = {
      {"reuseAddress", SOL_SOCKET, SO_REUSEADDR},
      {"ipv6Only", IPPROTO_IPV6, IPV6_V6ONLY},
  };
  napi_value args[3];
  int fd;
  bool on;
  if (!take_args(env, info, 3, args) || !arg_fd(env, args[0], &fd) || !arg_bool(env, args[2], &on)) return NULL;
  char *name = arg_string(env, args[1], NULL);
  if (name == NULL) return NULL;
  int result = -1, value = on;
  errno = ENOPROTOOPT;
  for (size_t i = 0; i < COUNT_OF(options); i++) {
    if (strcmp(name, options[i].name) == 0) {
      result = setsockopt(fd, options[i].level, options[i].option, &value, sizeof value);
    }
  }
  int error = errno;
  free(name);
  errno = error;
  return syscall_result(env, result);
}

// --- what a socket is ---

static bool set_member(napi_env env, napi_value object, const char *name, napi_value value) {
  return value != NULL && napi_set_named_property(env, object, name, value) == napi_ok;
}

static napi_value text_result(napi_env env, const char *text) {
  napi_value result = NULL;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result);
  return result;
}

static napi_value describe(napi_env env, const struct sockaddr_storage *address, socklen_t length) {
  napi_value result = NULL;
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  if (address->ss_family == AF_UNIX) {
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    size_t path_length = length > offset ? length - offset : 0;
    const char *path = ((const struct sockaddr_un *)address)->sun_path;
    // A path ends at its NUL, which the kernel counts; an abstract name begins with one.
    if (path_length > 0 && path[0] != '\0') path_length = strnlen(path, path_length);
    return set_member(env, result, "path", bytes_result(env, path, path_length)) ? result : NULL;
  }
  char host[NI_MAXHOST], port[NI_MAXSERV];
  int error = getnameinfo((const struct sockaddr *)address, length, host, sizeof host, port, sizeof port,
                          NI_NUMERICHOST | NI_NUMERICSERV);
  if (error != 0) return int_result(env, -EAFNOSUPPORT);
  bool ok = set_member(env, result, "host", text_result(env, host)) &&
            set_member(env, result, "port", int_result(env, atoi(port))) &&
            set_member(env, result, "ipv6", int_result(env, address->ss_family == AF_INET6));
  return ok ? result : NULL;
}

// (fd, of the peer): {path} or {host, port, ipv6}, or -errno.
static napi_value socket_name(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int fd;
  bool peer;
  if (!take_args(env, info, 2, args) || !arg_fd(env, args[0], &fd) || !arg_bool(env, args[1], &peer)) return NULL;
  struct sockaddr_storage address = {0};
  socklen_t length = sizeof address;
  int result = peer ? getpeername(fd, (struct sockaddr *)&address, &length)
                    : getsockname(fd, (struct sockaddr *)&address, &length);
  return result < 0 ? syscall_result(env, result) : describe(env, &address, length);
}

// (fd): whether it is a stream socket that listens, or -errno: ENOTSOCK, EPROTOTYPE.
static napi_value is_listening(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd, type = 0, listening = 0;
  if (!take_args(env, info, 1, args) || !arg_fd(env, args[0], &fd)) return NULL;
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return syscall_result(env, -1);
  if (type != SOCK_STREAM) return int_result(env, -EPROTOTYPE);
  length = sizeof listening;
  int result = getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
  return syscall_result(env, result < 0 ? result : listening);
}

// (fd): [pid, uid, gid] of who made the connection, or -errno.
static napi_value peer_credentials(napi_env env, napi_callback_info info) {
  napi_value args[1], result = NULL;
  int fd, domain = 0;
  if (!take_args(env, info, 1, args) || !arg_fd(env, args[0], &fd)) return NULL;
  socklen_t length = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0) return syscall_result(env, -1);
  if (domain != AF_UNIX) return int_result(env, -EOPNOTSUPP); // TCP sockets answer with pid 0 and uid -1
  struct ucred peer = {0};
  length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return syscall_result(env, -1);
  if (napi_create_array_with_length(env, 3, &result) != napi_ok) return NULL;
  napi_set_element(env, result, 0, number_result(env, peer.pid));
  napi_set_element(env, result, 1, number_result(env, peer.uid));
  napi_set_element(env, result, 2, number_result(env, peer.gid));
  return result;
}

static const struct exported_function functions[] = {
    {"unixAddress", unix_address},       {"inetAddress", inet_address},     {"socketMake", make_socket},
    {"socketBind", bind_socket},         {"socketConnect", connect_socket}, {"socketListen", listen_socket},
    {"socketSetOption", set_option},     {"socketName", socket_name},       {"socketIsListening", is_listening},
    {"socketPeerCred", peer_credentials},
};

bool socket_address_init(napi_env env, napi_value exports) {
  return export_functions(env, exports, functions, COUNT_OF(functions));
}
