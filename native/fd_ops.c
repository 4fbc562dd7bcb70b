// What can be done to an fd at once, without waiting? Duplicates, flags, pairs; and the texts of errno.
#include "fd_close.h"
#include "fdset.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static napi_value error_text(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int number;
  if (!take_args(env, info, 1, args) || !arg_int(env, args[0], &number)) return NULL;
  napi_value text = NULL;
  napi_create_string_utf8(env, strerror(number), NAPI_AUTO_LENGTH, &text);
  return text;
}

static napi_value close_fd(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!take_args(env, info, 1, args) || !arg_fd(env, args[0], &fd)) return NULL;
  int result = close(fd);
  // close(2), "Dealing with error returns": on Linux the fd is closed even so, and must not be closed again.
  if (result < 0 && errno == EINTR) result = 0;
  return syscall_result(env, result);
}

static napi_value close_fd_at_once(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!take_args(env, info, 1, args) || !arg_fd(env, args[0], &fd)) return NULL;
  return int_result(env, close_at_once(fd));
}

static napi_value close_fd_unattended(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!take_args(env, info, 1, args) || !arg_fd(env, args[0], &fd)) return NULL;
  return int_result(env, close_unattended(fd));
}

static napi_value dup_fd(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!take_args(env, info, 1, args) || !arg_fd(env, args[0], &fd)) return NULL;
  return syscall_result(env, fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

static napi_value get_status_flags(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!take_args(env, info, 1, args) || !arg_fd(env, args[0], &fd)) return NULL;
  return syscall_result(env, fcntl(fd, F_GETFL));
}

static napi_value set_status_flags(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int fd, flags;
  if (!take_args(env, info, 2, args) || !arg_fd(env, args[0], &fd) || !arg_int(env, args[1], &flags)) return NULL;
  return syscall_result(env, fcntl(fd, F_SETFL, flags));
}

static napi_value get_close_on_exec(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!take_args(env, info, 1, args) || !arg_fd(env, args[0], &fd)) return NULL;
  int flags = fcntl(fd, F_GETFD);
  return syscall_result(env, flags < 0 ? flags : (flags & FD_CLOEXEC) != 0);
}

static napi_value set_close_on_exec(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int fd;
  bool on;
  if (!take_args(env, info, 2, args) || !arg_fd(env, args[0], &fd) || !arg_bool(env, args[1], &on)) return NULL;
  return syscall_result(env, fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
}

// [first, second], or a negated errno.
static napi_value pair_result(napi_env env, int result, const int *pair) {
  if (result < 0) return syscall_result(env, result);
  napi_value array = NULL, first = int_result(env, pair[0]), second = int_result(env, pair[1]);
  if (napi_create_array_with_length(env, 2, &array) == napi_ok && napi_set_element(env, array, 0, first) == napi_ok &&
      napi_set_element(env, array, 1, second) == napi_ok) {
    return array;
  }
  close(pair[0]);
  close(pair[1]);
  return throw_error(env, "cannot make the result");
}

static napi_value make_pipe(napi_env env, napi_callback_info info) {
  (void)info;
  int pair[2];
  int result = pipe2(pair, O_CLOEXEC);
  return pair_result(env, result, pair);
}

static napi_value make_socket_pair(napi_env env, napi_callback_info info) {
  (void)info;
  int pair[2];
  int result = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
  return pair_result(env, result, pair);
}

static const struct exported_function functions[] = {
    {"strerror", error_text},
    {"close", close_fd},
    {"closeAtOnce", close_fd_at_once},
    {"closeUnattended", close_fd_unattended},
    {"dup", dup_fd},
    {"getStatusFlags", get_status_flags},
    {"setStatusFlags", set_status_flags},
    {"getCloseOnExec", get_close_on_exec},
    {"setCloseOnExec", set_close_on_exec},
    {"pipe", make_pipe},
    {"socketPair", make_socket_pair},
};

#define FLAG(name) {#name, name}
static const struct exported_number open_flags[] = {
    FLAG(O_RDONLY),   FLAG(O_WRONLY),  FLAG(O_RDWR),     FLAG(O_ACCMODE), FLAG(O_CREAT),     FLAG(O_EXCL),
    FLAG(O_NOCTTY),   FLAG(O_TRUNC),   FLAG(O_APPEND),   FLAG(O_NONBLOCK), FLAG(O_DSYNC),    FLAG(O_SYNC),
    FLAG(O_ASYNC),    FLAG(O_DIRECT),  FLAG(O_DIRECTORY), FLAG(O_NOFOLLOW), FLAG(O_NOATIME), FLAG(O_CLOEXEC),
    FLAG(O_PATH),     FLAG(O_TMPFILE),
};

bool fd_ops_init(napi_env env, napi_value exports) {
  return export_functions(env, exports, functions, COUNT_OF(functions)) &&
         export_numbers(env, exports, "O", open_flags, COUNT_OF(open_flags));
}
