// How are cached bytes read, and a few bytes written, without a thread? On the event loop, by whoever knows that the file
// is on a file system that does not keep us waiting: src/block/drivers/inline-io.ts decides.
#include "fdset.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NOWAIT 8 // RWF_NOWAIT, Linux 4.14

static bool io_args(napi_env env, napi_callback_info info, napi_value *args, int *fd, struct iovec *bytes, int64_t *position) {
  uint8_t *data;
  if (!take_args(env, info, 3, args) || !arg_fd(env, args[0], fd)) return false;
  if (!arg_bytes(env, args[1], &data, &bytes->iov_len) || !arg_offset(env, args[2], position)) return false;
  bytes->iov_base = data;
  return true;
}

// preadCached(fd, bytes, position): bytes read | -errno. EAGAIN: not all of it is cached.
static napi_value pread_cached(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int fd;
  struct iovec bytes;
  int64_t position;
  if (!io_args(env, info, args, &fd, &bytes, &position)) return NULL;
#ifdef SYS_preadv2
  // By number: musl has the wrapper since 1.2.5 only. The kernel puts the position together from two longs.
  unsigned long low = (unsigned long)position, high = sizeof(long) == 8 ? 0 : (unsigned long)(position >> 32);
  return syscall_result(env, (int)syscall(SYS_preadv2, fd, &bytes, 1, low, high, NOWAIT));
#else
  return int_result(env, -ENOSYS);
#endif
}

// preadNow(fd, bytes, position), pwriteNow(fd, bytes, position): bytes | -errno
static napi_value pread_now(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int fd;
  struct iovec bytes;
  int64_t position;
  if (!io_args(env, info, args, &fd, &bytes, &position)) return NULL;
  return syscall_result(env, (int)pread(fd, bytes.iov_base, bytes.iov_len, position));
}

static napi_value pwrite_now(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int fd;
  struct iovec bytes;
  int64_t position;
  if (!io_args(env, info, args, &fd, &bytes, &position)) return NULL;
  return syscall_result(env, (int)pwrite(fd, bytes.iov_base, bytes.iov_len, position));
}

bool inline_io_init(napi_env env, napi_value exports) {
  static const struct exported_function functions[] = {
      {"preadCached", pread_cached}, {"preadNow", pread_now}, {"pwriteNow", pwrite_now}};
  return export_functions(env, exports, functions, COUNT_OF(functions));
}
