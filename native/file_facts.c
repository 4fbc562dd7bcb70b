// What is known of an open file without asking its server? For the ledger of fds, which must not wait for a file system
// that is dead: statx(2) with AT_STATX_DONT_SYNC, and the comparison of open file descriptions.
#include "fdset.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// By number: both are younger than many C libraries.
#define DUPFD_QUERY 1027 // F_DUPFD_QUERY, Linux 6.10
#define KCMP_FILE_TYPE 0
#define EMPTY_PATH 0x1000
#define DONT_SYNC 0x4000
#define TYPE_MASK 0170000
#define BLOCK_DEVICE 0060000

static bool set_number(napi_env env, napi_value array, uint32_t index, double number) {
  return napi_set_element(env, array, index, number_result(env, number)) == napi_ok;
}

static bool set_bigint(napi_env env, napi_value array, uint32_t index, uint64_t number) {
  napi_value value = NULL;
  return napi_create_bigint_uint64(env, number, &value) == napi_ok &&
         napi_set_element(env, array, index, value) == napi_ok;
}

static uint64_t size_of(int fd, const struct statx *status) {
  uint64_t size = 0;
  if ((status->stx_mode & TYPE_MASK) != BLOCK_DEVICE) return status->stx_size;
  return ioctl(fd, BLKGETSIZE64, &size) < 0 ? 0 : size;
}

// fileFacts(fd): [mode, device major, device minor, inode: bigint, size: bigint] | -errno
static napi_value file_facts(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!take_args(env, info, 1, args) || !arg_fd(env, args[0], &fd)) return NULL;
  struct statx status = {0};
  unsigned int wanted = STATX_TYPE | STATX_MODE | STATX_INO | STATX_SIZE;
  long result = syscall(SYS_statx, fd, "", EMPTY_PATH | DONT_SYNC, wanted, &status);
  if (result < 0) return int_result(env, -errno);
  napi_value facts = NULL;
  if (napi_create_array_with_length(env, 5, &facts) != napi_ok || !set_number(env, facts, 0, status.stx_mode) ||
      !set_number(env, facts, 1, status.stx_dev_major) || !set_number(env, facts, 2, status.stx_dev_minor) ||
      !set_bigint(env, facts, 3, status.stx_ino) || !set_bigint(env, facts, 4, size_of(fd, &status))) {
    return throw_error(env, "cannot make the result");
  }
  return facts;
}

// The kernel answers the first since 6.10; the second is refused in many sandboxes, our own among them.
static int same_description(int one, int other) {
  int same = fcntl(one, DUPFD_QUERY, other);
  if (same >= 0) return same == 1;
  if (errno != EINVAL) return -errno;
  long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE_TYPE, one, other);
  return order < 0 ? -errno : order == 0;
}

// sameDescription(one, other): 1, 0 or -errno
static napi_value compare_descriptions(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int one, other;
  if (!take_args(env, info, 2, args) || !arg_fd(env, args[0], &one) || !arg_fd(env, args[1], &other)) return NULL;
  return int_result(env, same_description(one, other));
}

bool file_facts_init(napi_env env, napi_value exports) {
  static const struct exported_function functions[] = {
      {"fileFacts", file_facts},
      {"sameDescription", compare_descriptions},
  };
  return export_functions(env, exports, functions, COUNT_OF(functions));
}
