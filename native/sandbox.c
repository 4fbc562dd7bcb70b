// What can a process give up, and what does it still have? Landlock rulesets, seccomp filters, dumpability, and the
// kernel's answers. Which paths and which system calls is the caller's business. landlock(7), seccomp(2).
#include "sandbox.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CREATE_RULESET_VERSION 1U
#define RULE_PATH_BENEATH 1

// All that ABI 7 knows; an older kernel takes fewer bytes, and more only where they are zero.
struct ruleset_attributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};

struct path_beneath_attributes {
  uint64_t allowed_access;
  int32_t parent_fd;
} __attribute__((packed));

// The ABI of the running kernel, or -errno: ENOSYS (not built in), EOPNOTSUPP (switched off at boot).
static napi_value landlock_abi(napi_env env, napi_callback_info info) {
  (void)info;
  return syscall_result(env, (int)syscall(NR_LANDLOCK_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION));
}

// (handledFs, handledNet, scoped): fd, close-on-exec.
static napi_value landlock_create_ruleset(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int64_t fs;
  int64_t net;
  int64_t scoped;
  if (!take_args(env, info, 3, args) || !arg_offset(env, args[0], &fs) || !arg_offset(env, args[1], &net) ||
      !arg_offset(env, args[2], &scoped))
    return NULL;
  struct ruleset_attributes attributes = {
      .handled_access_fs = (uint64_t)fs, .handled_access_net = (uint64_t)net, .scoped = (uint64_t)scoped};
  return syscall_result(env, (int)syscall(NR_LANDLOCK_CREATE_RULESET, &attributes, sizeof attributes, 0));
}

// (ruleset, path, access): allows `access` at and beneath the path, which is opened only as a path.
static napi_value landlock_allow_path(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int ruleset;
  int64_t access;
  if (!take_args(env, info, 3, args) || !arg_fd(env, args[0], &ruleset) || !arg_offset(env, args[2], &access))
    return NULL;
  char *path = arg_string(env, args[1], NULL);
  if (path == NULL) return NULL;
  int result = -1;
  int fd = open(path, O_PATH | O_CLOEXEC);
  if (fd >= 0) {
    struct path_beneath_attributes rule = {.allowed_access = (uint64_t)access, .parent_fd = fd};
    result = (int)syscall(NR_LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0);
  }
  napi_value answer = syscall_result(env, result);
  if (fd >= 0) close(fd);
  free(path);
  return answer;
}

// Can the kernel filter system calls? 0 or -errno.
static napi_value seccomp_available(napi_env env, napi_callback_info info) {
  (void)info;
  uint32_t action = SECCOMP_RET_ERRNO;
  return syscall_result(env, (int)syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
}

// (program): puts the filter on every thread of this process, those of libuv and V8 included. A positive result is the
// thread that could not be reached.
static napi_value seccomp_install(napi_env env, napi_callback_info info) {
  napi_value args[1];
  uint8_t *bytes;
  size_t length;
  if (!take_args(env, info, 1, args) || !arg_bytes(env, args[0], &bytes, &length)) return NULL;
  size_t count = length / sizeof(struct sock_filter);
  if (length % sizeof(struct sock_filter) != 0 || count == 0 || count > BPF_MAXINSNS)
    return throw_type_error(env, "expected 1 to 4096 BPF instructions");
  struct sock_filter *filter = malloc(length);
  if (filter == NULL) return throw_error(env, "out of memory");
  memcpy(filter, bytes, length);
  struct sock_fprog program = {.len = (unsigned short)count, .filter = filter};
  int result = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
  napi_value answer = syscall_result(env, result);
  free(filter);
  return answer;
}

// (on): whether this process may be dumped and traced by its equals.
static napi_value set_dumpable(napi_env env, napi_callback_info info) {
  napi_value args[1];
  bool on;
  if (!take_args(env, info, 1, args) || !arg_bool(env, args[0], &on)) return NULL;
  return syscall_result(env, prctl(PR_SET_DUMPABLE, on ? 1 : 0, 0, 0, 0));
}

static bool set_number(napi_env env, napi_value object, const char *name, double number) {
  napi_value value = NULL;
  return napi_create_double(env, number, &value) == napi_ok &&
         napi_set_named_property(env, object, name, value) == napi_ok;
}

static double both_halves(uint32_t low, uint32_t high) { return (double)(low | ((uint64_t)high << 32)); }

// What this thread has: capability sets as bit masks, no_new_privs, the seccomp mode (2: a filter), dumpability.
static napi_value process_rights(napi_env env, napi_callback_info info) {
  (void)info;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
  memset(sets, 0, sizeof sets);
  if (syscall(SYS_capget, &header, sets) < 0) return syscall_result(env, -1);
  napi_value rights = NULL;
  bool ok = napi_create_object(env, &rights) == napi_ok &&
            set_number(env, rights, "permitted", both_halves(sets[0].permitted, sets[1].permitted)) &&
            set_number(env, rights, "effective", both_halves(sets[0].effective, sets[1].effective)) &&
            set_number(env, rights, "inheritable", both_halves(sets[0].inheritable, sets[1].inheritable)) &&
            set_number(env, rights, "noNewPrivs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) &&
            set_number(env, rights, "seccompMode", prctl(PR_GET_SECCOMP, 0, 0, 0, 0)) &&
            set_number(env, rights, "dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
  return ok ? rights : throw_error(env, "cannot make the answer");
}

// What the OpenSSL that Node was built with says of itself: OPENSSLDIR: "…". Undefined where Node has none or hides it.
static napi_value openssl_folder(napi_env env, napi_callback_info info) {
  (void)info;
  const int openssl_dir = 4;
  const char *(*version)(int);
  void *symbol = dlsym(RTLD_DEFAULT, "OpenSSL_version");
  if (symbol == NULL) return NULL;
  memcpy(&version, &symbol, sizeof version); // ISO C knows no cast from an object to a function
  const char *text = version(openssl_dir);
  napi_value result = NULL;
  if (text != NULL) napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result);
  return result;
}

static const struct exported_function functions[] = {
    {"landlockAbi", landlock_abi},
    {"landlockCreateRuleset", landlock_create_ruleset},
    {"landlockAllowPath", landlock_allow_path},
    {"seccompAvailable", seccomp_available},
    {"seccompInstall", seccomp_install},
    {"setDumpable", set_dumpable},
    {"processRights", process_rights},
    {"opensslFolder", openssl_folder},
};

bool sandbox_init(napi_env env, napi_value exports) {
  return export_functions(env, exports, functions, COUNT_OF(functions)) && sandbox_spawn_init(env, exports);
}
