// What do the parts of the addon share? Their init functions, one slot of per-environment state each, and the helpers
// that read arguments and make results. No policy in native/: system calls in, numbers and errno out.
//
// Conventions. A system call that fails is a result, not an exception: the function returns -errno, and the TypeScript
// door throws. An exception means that the caller passed a wrong type, which is a bug of ours. A helper that returns
// false or NULL has thrown; the caller returns NULL at once. There is no mutable global state outside a mutex: the
// addon runs in worker threads too.
#ifndef FDSET_H
#define FDSET_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <node_api.h>

#define MAX_SAFE_INTEGER 9007199254740991.0
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// --- the parts: true on success, else an exception is pending ---

bool fd_ops_init(napi_env env, napi_value exports);
bool io_pool_init(napi_env env, napi_value exports);
bool unix_diag_init(napi_env env, napi_value exports);
bool inline_io_init(napi_env env, napi_value exports);
bool file_facts_init(napi_env env, napi_value exports);
bool fd_socket_init(napi_env env, napi_value exports);
bool sandbox_init(napi_env env, napi_value exports);
bool terminal_init(napi_env env, napi_value exports);

// --- per-environment state ---

enum part { PART_FD_OPS, PART_IO_POOL, PART_FD_SOCKET, PART_SANDBOX, PART_NBD_ENGINE, PART_COUNT };

// Called once when the environment goes, after the part's own cleanup hooks; frees the state.
typedef void (*part_destroy)(napi_env env, void *state);

// The state that this environment's part has set, NULL before that.
void *part_state(napi_env env, enum part part);
void set_part_state(napi_env env, enum part part, void *state, part_destroy destroy);

// --- exceptions: keep one that is pending, else throw; return NULL for `return throw_error(…)` ---

napi_value throw_error(napi_env env, const char *message);
napi_value throw_type_error(napi_env env, const char *message);

// --- arguments ---

// The first `count` arguments of the call.
bool take_args(napi_env env, napi_callback_info info, size_t count, napi_value *args);
bool arg_int(napi_env env, napi_value value, int *out);
// An int that is not negative.
bool arg_fd(napi_env env, napi_value value, int *out);
// 0 to 2^53 - 1.
bool arg_offset(napi_env env, napi_value value, int64_t *out);
bool arg_bool(napi_env env, napi_value value, bool *out);
// The memory of a Uint8Array (a Buffer is one), lent until the call returns.
bool arg_bytes(napi_env env, napi_value value, uint8_t **data, size_t *length);
// A copy as UTF-8 with a NUL behind it, to be freed by the caller. `length` may be NULL.
char *arg_string(napi_env env, napi_value value, size_t *length);

// --- results ---

napi_value number_result(napi_env env, double number);
napi_value int_result(napi_env env, int number);
// The result of a system call that says -1 and errno: a negative result becomes -errno. Call it before anything else
// can change errno.
napi_value syscall_result(napi_env env, int result);

// --- exports ---

struct exported_function {
  const char *name;
  napi_callback call;
};
bool export_functions(napi_env env, napi_value exports, const struct exported_function *functions, size_t count);

struct exported_number {
  const char *name;
  double value;
};
// Sets exports[name] to an object with these members.
bool export_numbers(napi_env env, napi_value exports, const char *name, const struct exported_number *numbers,
                    size_t count);

#endif
