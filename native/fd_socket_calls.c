// What can JavaScript ask of a socket on the event loop? The functions of the addon; the types are those of
// src/addon/fd-socket.ts.
#include "fd_socket.h"

#include <stdlib.h>

static struct socket_env *shared_of(napi_env env) { return part_state(env, PART_FD_SOCKET); }

// --- opening ---

// open(fd, kind, receivesFds, onEvent): a number, or -errno, and then the fd is still the caller's.
static napi_value open_socket(napi_env env, napi_callback_info info) {
  napi_value args[4];
  int fd, kind;
  bool receives_fds;
  if (!take_args(env, info, 4, args) || !arg_fd(env, args[0], &fd) || !arg_int(env, args[1], &kind) ||
      !arg_bool(env, args[2], &receives_fds)) {
    return NULL;
  }
  struct socket_env *shared = shared_of(env);
  if (!set_up_sockets(env, shared)) return throw_error(env, "cannot set up sockets");
  struct handle *handle = calloc(1, sizeof *handle);
  if (handle == NULL) return int_result(env, -ENOMEM);
  handle->shared = shared;
  handle->kind = (enum handle_kind)kind;
  handle->fd = fd;
  handle->receives_fds = receives_fds;
  int error = open_handle(env, handle, args[3]);
  if (error < 0) {
    free_handle(handle);
    return int_result(env, error);
  }
  update_poll(handle);
  return int_result(env, handle->id);
}

static napi_value receive_buffer(napi_env env, napi_callback_info info) {
  (void)info;
  struct socket_env *shared = shared_of(env);
  napi_value array = NULL;
  if (!set_up_sockets(env, shared) || napi_get_reference_value(env, shared->receive_array, &array) != napi_ok) {
    return throw_error(env, "cannot set up sockets");
  }
  return array;
}

// --- what JavaScript asks of a handle; one that is closing does nothing and says 0 ---

// The handle that the first argument names. False after a wrong type, which has thrown; NULL if it is closing.
static bool arg_handle(napi_env env, napi_value value, struct handle **out) {
  int id;
  if (!arg_int(env, value, &id)) return false;
  *out = find_handle(shared_of(env), id);
  return true;
}

static bool handle_and_bool(napi_env env, napi_callback_info info, struct handle **handle, bool *on) {
  napi_value args[2];
  return take_args(env, info, 2, args) && arg_handle(env, args[0], handle) && arg_bool(env, args[1], on);
}

static bool only_handle(napi_env env, napi_callback_info info, struct handle **handle) {
  napi_value args[1];
  return take_args(env, info, 1, args) && arg_handle(env, args[0], handle);
}

static napi_value pause_socket(napi_env env, napi_callback_info info) {
  struct handle *handle;
  bool on;
  if (!handle_and_bool(env, info, &handle, &on) || handle == NULL) return NULL;
  handle->paused = on;
  update_poll(handle);
  return NULL;
}

static napi_value ref_socket(napi_env env, napi_callback_info info) {
  struct handle *handle;
  bool on;
  if (!handle_and_bool(env, info, &handle, &on) || handle == NULL) return NULL;
  if (on) uv_ref((uv_handle_t *)handle->poll);
  else uv_unref((uv_handle_t *)handle->poll);
  return NULL;
}

static napi_value end_socket(napi_env env, napi_callback_info info) {
  struct handle *handle;
  if (!only_handle(env, info, &handle) || handle == NULL) return NULL;
  handle->end_wanted = true;
  finish_sending(handle);
  if (!handle->closing) close_if_both_ended(handle);
  return NULL;
}

static napi_value destroy_socket(napi_env env, napi_callback_info info) {
  struct handle *handle;
  if (!only_handle(env, info, &handle) || handle == NULL) return NULL;
  close_handle(handle);
  return NULL;
}

static napi_value buffered_bytes(napi_env env, napi_callback_info info) {
  struct handle *handle;
  if (!only_handle(env, info, &handle)) return NULL;
  return number_result(env, handle == NULL ? 0 : (double)handle->buffered);
}

// (handle, before): an fd that the caller owns from now on, NO_FD or FD_REFUSED.
static napi_value take_waiting_fd(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct handle *handle;
  int64_t before;
  if (!take_args(env, info, 2, args) || !arg_handle(env, args[0], &handle) || !arg_offset(env, args[1], &before)) {
    return NULL;
  }
  return int_result(env, handle == NULL ? NO_FD : take_fd(handle, before));
}

static napi_value settle_waiting_fds(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct handle *handle;
  int64_t before;
  if (!take_args(env, info, 2, args) || !arg_handle(env, args[0], &handle) || !arg_offset(env, args[1], &before)) {
    return NULL;
  }
  if (handle != NULL) settle_fds(handle, before);
  return NULL;
}

// --- writing ---

// The caller's fds: at most MAX_SENT_FDS.
static bool arg_fds(napi_env env, napi_value value, int *fds, size_t *count) {
  uint32_t length = 0;
  napi_valuetype type = napi_undefined;
  *count = 0;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_undefined) return true;
  if (napi_get_array_length(env, value, &length) != napi_ok || length > MAX_SENT_FDS) {
    throw_type_error(env, "expected an array of at most 253 file descriptors");
    return false;
  }
  for (uint32_t i = 0; i < length; i++) {
    napi_value element = NULL;
    if (napi_get_element(env, value, i, &element) != napi_ok || !arg_fd(env, element, &fds[i])) return false;
  }
  *count = length;
  return true;
}

// Did sendmsg dislike the fds, rather than the connection?
static bool is_about_fds(int error) {
  return error == EBADF || error == EMFILE || error == ENFILE || error == ETOOMANYREFS || error == EINVAL ||
         error == EPERM;
}

// How many bytes are queued now, or -errno where the fds were not accepted and nothing was sent.
static napi_value send_now(napi_env env, struct handle *handle, const uint8_t *bytes, size_t length, const int *fds,
                           size_t fd_count) {
  int error = send_bytes(handle, bytes, length, fds, fd_count);
  if (error < 0 && fd_count > 0 && is_about_fds(-error)) return int_result(env, error);
  if (error < 0) fail_handle(handle, -error, CALL_SENDMSG);
  update_poll(handle);
  return number_result(env, (double)handle->buffered);
}

static napi_value send_string(napi_env env, struct handle *handle, napi_value string, const int *fds, size_t fd_count) {
  uint8_t *bytes = handle->shared->send_buffer;
  size_t length = 0;
  if (napi_get_value_string_latin1(env, string, NULL, 0, &length) != napi_ok) return throw_type_error(env, "not a string");
  if (length >= SEND_BYTES) bytes = malloc(length + 1);
  if (bytes == NULL) return throw_error(env, "out of memory");
  napi_value result = NULL;
  if (napi_get_value_string_latin1(env, string, (char *)bytes, length + 1, &length) == napi_ok) {
    result = send_now(env, handle, bytes, length, fds, fd_count);
  }
  if (bytes != handle->shared->send_buffer) free(bytes);
  return result;
}

// (handle, string or bytes, array of fds or undefined)
static napi_value write_socket(napi_env env, napi_callback_info info) {
  napi_value args[3];
  struct handle *handle;
  int fds[MAX_SENT_FDS];
  size_t fd_count = 0, length = 0;
  uint8_t *bytes = NULL;
  napi_valuetype type = napi_undefined;
  if (!take_args(env, info, 3, args) || !arg_handle(env, args[0], &handle) || !arg_fds(env, args[2], fds, &fd_count)) {
    return NULL;
  }
  if (handle == NULL) return int_result(env, 0);
  if (napi_typeof(env, args[1], &type) == napi_ok && type == napi_string) {
    return send_string(env, handle, args[1], fds, fd_count);
  }
  if (!arg_bytes(env, args[1], &bytes, &length)) return NULL;
  return send_now(env, handle, bytes, length, fds, fd_count);
}

// (on): for tests and measurements. Whether chained reads are used from now on.
static napi_value use_chained_reads(napi_env env, napi_callback_info info) {
  napi_value args[1], result = NULL;
  bool on;
  if (!take_args(env, info, 1, args) || !arg_bool(env, args[0], &on)) return NULL;
  set_chained_reads(on);
  napi_get_boolean(env, chained_reads(), &result);
  return result;
}

static const struct exported_function functions[] = {
    {"socketReceiveBuffer", receive_buffer},
    {"socketOpen", open_socket},
    {"socketWrite", write_socket},
    {"socketTakeFd", take_waiting_fd},
    {"socketSettleFds", settle_waiting_fds},
    {"socketPause", pause_socket},
    {"socketRef", ref_socket},
    {"socketEnd", end_socket},
    {"socketDestroy", destroy_socket},
    {"socketBufferedBytes", buffered_bytes},
    {"socketChainedReads", use_chained_reads},
};

static void free_shared(napi_env env, void *data) {
  (void)env;
  struct socket_env *shared = data;
  receive_free(shared);
  free(shared->send_buffer);
  free(shared);
}

bool fd_socket_init(napi_env env, napi_value exports) {
  struct socket_env *shared = calloc(1, sizeof *shared);
  if (shared == NULL) {
    throw_error(env, "out of memory");
    return false;
  }
  shared->env = env;
  set_part_state(env, PART_FD_SOCKET, shared, free_shared);
  return export_functions(env, exports, functions, COUNT_OF(functions)) && socket_address_init(env, exports);
}
