// A door to any system call, for the attacks of the sandbox's tests: Node itself has no way to try most of them.
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <node_api.h>

// A number is passed as it is, a Uint8Array as the address of its bytes.
static long argument(napi_env env, napi_value value) {
  int64_t number = 0;
  void *bytes = NULL;
  if (napi_get_value_int64(env, value, &number) == napi_ok) return (long)number;
  if (napi_get_typedarray_info(env, value, NULL, NULL, &bytes, NULL, NULL) == napi_ok) return (long)bytes;
  return 0;
}

static napi_value answer(napi_env env, long result) {
  napi_value value = NULL;
  napi_create_int64(env, result < 0 ? -errno : result, &value);
  return value;
}

// (number, up to six arguments): the result, or -errno.
static napi_value raw_syscall(napi_env env, napi_callback_info info) {
  size_t count = 7;
  napi_value values[7];
  long args[7] = {0};
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  for (size_t i = 0; i < count && i < 7; i++) args[i] = argument(env, values[i]);
  return answer(env, syscall(args[0], args[1], args[2], args[3], args[4], args[5], args[6]));
}

// A new process by clone(2), as fork() does it; it ends at once.
static napi_value fork_by_clone(napi_env env, napi_callback_info info) {
  (void)info;
  const long sigchld = 17;
  long pid = syscall(SYS_clone, sigchld, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  return answer(env, pid);
}

NAPI_MODULE_INIT() {
  napi_value function = NULL;
  napi_create_function(env, "syscall", NAPI_AUTO_LENGTH, raw_syscall, NULL, &function);
  napi_set_named_property(env, exports, "syscall", function);
  napi_create_function(env, "fork", NAPI_AUTO_LENGTH, fork_by_clone, NULL, &function);
  napi_set_named_property(env, exports, "fork", function);
  return exports;
}
