// How does a socket live on Node's event loop? A handle is an fd, a uv_poll and a callback into JavaScript.
//
// JavaScript knows a handle by a number, so that nothing depends on the garbage collector: a handle holds its callback
// strongly until the close event, its last. A callback may do anything, destroy its handle included: after each the
// handle is looked at again, and its memory lives until libuv has let go of it. A callback that throws destroys its
// channel; the error goes where those of all event-loop callbacks go (uncaughtException).
//
// Closing: uv_poll_stop, uv_close, close(fd), at once; freed, and told to JavaScript, in the close callback. When an
// environment ends (a worker thread, process.exit), its cleanup hook closes every handle with all fds it owns.
#include "fd_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_BYTES ((size_t)64 * 1024)
// Connections accepted before the rest of the loop gets its turn.
#define ACCEPT_BATCH 32

// --- numbers for handles ---

static struct handle **bucket_of(struct socket_env *shared, int id) {
  return &shared->buckets[(unsigned)id % COUNT_OF(shared->buckets)];
}

static struct handle *find_any(struct socket_env *shared, int id) {
  struct handle *handle = *bucket_of(shared, id);
  while (handle != NULL && handle->id != id) handle = handle->next_in_bucket;
  return handle;
}

// The open handle with this number, or NULL.
static struct handle *find_handle(struct socket_env *shared, int id) {
  struct handle *handle = shared == NULL ? NULL : find_any(shared, id);
  return handle == NULL || handle->closing ? NULL : handle;
}

static void register_handle(struct socket_env *shared, struct handle *handle) {
  do {
    shared->last_id = shared->last_id == INT32_MAX ? 0 : shared->last_id + 1;
  } while (find_any(shared, shared->last_id) != NULL);
  handle->id = shared->last_id;
  struct handle **bucket = bucket_of(shared, handle->id);
  handle->next_in_bucket = *bucket;
  *bucket = handle;
  handle->next = shared->handles;
  if (handle->next != NULL) handle->next->previous = handle;
  shared->handles = handle;
}

static void unregister_handle(struct handle *handle) {
  struct socket_env *shared = handle->shared;
  struct handle **place = bucket_of(shared, handle->id);
  while (*place != handle) place = &(*place)->next_in_bucket;
  *place = handle->next_in_bucket;
  if (handle->previous == NULL) shared->handles = handle->next;
  else handle->previous->next = handle->next;
  if (handle->next != NULL) handle->next->previous = handle->previous;
}

// --- calls into JavaScript ---

// Takes the exception that is pending, if there is one, and lets it surface as an uncaught one.
static bool surface_exception(napi_env env) {
  bool pending = false;
  napi_value error = NULL;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return false;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  return true;
}

static void close_handle(struct handle *handle);

// Calls the handle's callback. It may have closed the handle, and if it throws it has.
static void emit(struct handle *handle, enum socket_event event, double first, double second) {
  struct socket_env *shared = handle->shared;
  napi_env env = shared->env;
  napi_handle_scope scope;
  if (shared->ending || napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback = NULL, receiver = NULL, args[3] = {NULL, NULL, NULL};
  if (napi_get_reference_value(env, handle->on_event, &callback) == napi_ok &&
      napi_get_global(env, &receiver) == napi_ok && napi_create_int32(env, (int)event, &args[0]) == napi_ok &&
      napi_create_double(env, first, &args[1]) == napi_ok && napi_create_double(env, second, &args[2]) == napi_ok &&
      napi_make_callback(env, handle->context, receiver, callback, 3, args, NULL) != napi_ok) {
    if (handle->kind == HANDLE_CHANNEL) close_handle(handle);
    surface_exception(env);
  }
  napi_close_handle_scope(env, scope);
}

// --- closing ---

static void end_environment_if_done(struct socket_env *shared) {
  if (!shared->ending || shared->handles != NULL || shared->hook == NULL) return;
  napi_async_cleanup_hook_handle hook = shared->hook;
  shared->hook = NULL;
  napi_remove_async_cleanup_hook(hook);
}

static void free_handle(struct handle *handle) {
  napi_env env = handle->shared->env;
  if (handle->context != NULL) napi_async_destroy(env, handle->context);
  if (handle->on_event != NULL) napi_delete_reference(env, handle->on_event);
  free(handle->poll);
  free(handle);
}

static void on_closed(uv_handle_t *poll) {
  struct handle *handle = uv_handle_get_data(poll);
  struct socket_env *shared = handle->shared;
  unregister_handle(handle);
  if (handle->kind != HANDLE_CONNECTOR) emit(handle, EVENT_CLOSE, handle->close_errno, handle->close_call);
  napi_handle_scope scope;
  bool scoped = napi_open_handle_scope(shared->env, &scope) == napi_ok;
  free_handle(handle);
  if (scoped) napi_close_handle_scope(shared->env, scope);
  end_environment_if_done(shared);
}

static void close_handle(struct handle *handle) {
  if (handle->closing) return;
  handle->closing = true;
  uv_poll_stop(handle->poll);
  uv_close((uv_handle_t *)handle->poll, on_closed);
  // A connector only watches a socket that its caller owns.
  if (handle->kind != HANDLE_CONNECTOR) close(handle->fd);
  handle->fd = -1;
  close_waiting_fds(handle);
  free_queue(handle);
}

static void fail(struct handle *handle, int error, enum socket_call call) {
  if (handle->closing) return;
  handle->close_errno = error;
  handle->close_call = call;
  close_handle(handle);
}

// --- polling ---

static void on_poll(uv_poll_t *poll, int status, int events);

// Waits for what the handle's state asks for.
static void update_poll(struct handle *handle) {
  if (handle->closing) return;
  int events = 0;
  if (handle->kind == HANDLE_CONNECTOR) events = UV_WRITABLE;
  else if (!handle->paused && !handle->end_received) events = UV_READABLE;
  if (handle->first_chunk != NULL) events |= UV_WRITABLE;
  if (events == handle->polled) return;
  handle->polled = events;
  int error = events == 0 ? uv_poll_stop(handle->poll) : uv_poll_start(handle->poll, events, on_poll);
  if (error < 0) fail(handle, -error, CALL_POLL);
}

// --- a channel ---

static void close_if_both_ended(struct handle *handle) {
  if (handle->end_received && handle->end_sent) close_handle(handle);
}

// Ends the sending side once nothing is queued.
static void finish_sending(struct handle *handle) {
  if (!handle->end_wanted || handle->end_sent || handle->first_chunk != NULL) return;
  handle->end_sent = true;
  if (shutdown(handle->fd, SHUT_WR) < 0 && errno != ENOTCONN) fail(handle, errno, CALL_SENDMSG);
}

static void on_writable(struct handle *handle) {
  if (handle->first_chunk == NULL) return;
  int error = send_queued(handle);
  if (error < 0) {
    fail(handle, -error, CALL_SENDMSG);
    return;
  }
  if (handle->first_chunk != NULL) return;
  finish_sending(handle);
  if (!handle->closing) emit(handle, EVENT_DRAIN, 0, 0);
}

static void on_readable(struct handle *handle) {
  ssize_t count = receive_batch(handle);
  if (count == -EAGAIN) return;
  if (count == -EMFILE) {
    fail(handle, EMFILE, CALL_OUT_OF_FDS);
  } else if (count < 0) {
    fail(handle, (int)-count, CALL_RECVMSG);
  } else if (count == 0) {
    handle->end_received = true;
    emit(handle, EVENT_END, 0, 0);
  } else {
    emit(handle, EVENT_DATA, (double)count, (double)handle->waiting_count);
  }
}

// --- a listener ---

// The number that the next connection would get is tried out before it is accepted: where it would eat into the
// reserve, clients wait in the backlog.
static int accept_one(struct handle *handle) {
  int next = fcntl(handle->fd, F_DUPFD_CLOEXEC, 0);
  if (next < 0) return -errno;
  close(next);
  if (is_reserved_fd(handle->shared, next)) return -EMFILE;
  int fd = accept4(handle->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

static bool is_out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

static void on_connections(struct handle *handle) {
  for (int i = 0; i < ACCEPT_BATCH && !handle->closing && !handle->paused; i++) {
    int fd = accept_one(handle);
    if (fd >= 0) {
      if (handle->shared->ending) close(fd);
      else emit(handle, EVENT_ACCEPT, fd, 0);
    } else if (is_out_of_resources(-fd)) {
      handle->paused = true;
      emit(handle, EVENT_ACCEPT_STOP, -fd, 0);
    } else if (fd == -EAGAIN) {
      return;
    }
    // Anything else is the trouble of one connection that is gone (accept(2), "Error handling").
  }
}

// --- a connector ---

static void on_connected(struct handle *handle) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(handle->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) error = errno;
  close_handle(handle);
  emit(handle, EVENT_CONNECT, error, 0);
}

// `status` is not used: libuv reports an error of the socket as EBADF and stops polling; the calls below tell which.
static void on_poll(uv_poll_t *poll, int status, int events) {
  struct handle *handle = uv_handle_get_data((uv_handle_t *)poll);
  if (status < 0) {
    handle->polled = 0;
    events = UV_READABLE | UV_WRITABLE;
  }
  if (handle->kind == HANDLE_CONNECTOR) {
    on_connected(handle);
    return;
  }
  if (handle->kind == HANDLE_LISTENER) {
    on_connections(handle);
    update_poll(handle);
    return;
  }
  if ((events & UV_WRITABLE) != 0) on_writable(handle);
  if ((events & UV_READABLE) != 0 && !handle->closing && !handle->paused && !handle->end_received) on_readable(handle);
  if (!handle->closing) close_if_both_ended(handle);
  update_poll(handle);
}

// --- opening ---

static struct socket_env *shared_of(napi_env env) { return part_state(env, PART_FD_SOCKET); }

static void on_environment_end(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  struct socket_env *shared = data;
  shared->ending = true;
  for (struct handle *handle = shared->handles; handle != NULL; handle = handle->next) close_handle(handle);
  napi_delete_reference(shared->env, shared->receive_array);
  end_environment_if_done(shared);
}

static void free_shared(napi_env env, void *data) {
  (void)env;
  struct socket_env *shared = data;
  receive_free(shared);
  free(shared->send_buffer);
  free(shared);
}

static void free_receive_buffer(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  unmap_batch(data);
}

// The receive buffer belongs to its ArrayBuffer: JavaScript may look at it as long as it likes.
static bool make_receive_buffer(napi_env env, struct socket_env *shared) {
  napi_value array = NULL;
  shared->receive_buffer = map_batch();
  if (shared->receive_buffer == NULL) return false;
  if (napi_create_external_buffer(env, BATCH_BYTES, shared->receive_buffer, free_receive_buffer, NULL, &array) !=
      napi_ok) {
    unmap_batch(shared->receive_buffer);
    shared->receive_buffer = NULL;
    return false;
  }
  return napi_create_reference(env, array, 1, &shared->receive_array) == napi_ok;
}

// What the first handle of an environment needs.
static bool set_up(napi_env env, struct socket_env *shared) {
  if (shared->hook != NULL) return true;
  shared->send_buffer = malloc(SEND_BYTES);
  return shared->send_buffer != NULL && receive_init(shared) && make_receive_buffer(env, shared) &&
         napi_get_uv_event_loop(env, (struct uv_loop_s **)&shared->loop) == napi_ok &&
         napi_add_async_cleanup_hook(env, on_environment_end, shared, &shared->hook) == napi_ok;
}

static int init_poll(struct handle *handle) {
  handle->poll = calloc(1, uv_handle_size(FDSET_UV_POLL));
  if (handle->poll == NULL) return -ENOMEM;
  int error = uv_poll_init(handle->shared->loop, handle->poll, handle->fd);
  if (error < 0) {
    free(handle->poll);
    handle->poll = NULL;
    return error;
  }
  uv_handle_set_data((uv_handle_t *)handle->poll, handle);
  return 0;
}

static bool hold_callback(napi_env env, struct handle *handle, napi_value callback) {
  napi_value name = NULL;
  return napi_create_reference(env, callback, 1, &handle->on_event) == napi_ok &&
         napi_create_string_utf8(env, "FDSET_SOCKET", NAPI_AUTO_LENGTH, &name) == napi_ok &&
         napi_async_init(env, NULL, name, &handle->context) == napi_ok;
}

// What kind of socket is it, and is it one for a channel? 0 or -errno.
static int prepare_channel(struct handle *handle) {
  int domain = 0, type = 0, on = 1;
  socklen_t length = sizeof domain;
  if (getsockopt(handle->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0) return -errno;
  length = sizeof type;
  if (getsockopt(handle->fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return -errno;
  if (type != SOCK_STREAM) return -EPROTOTYPE;
  if (domain == AF_UNIX) return receive_prepare(handle);
  handle->receives_fds = false;
  // Messages are small and each is waited for: Nagle's algorithm would hold them back.
  if (domain == AF_INET || domain == AF_INET6) setsockopt(handle->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return 0;
}

// 0, and the handle owns its fd; or -errno.
static int open_handle(napi_env env, struct handle *handle, napi_value callback) {
  int error = handle->kind == HANDLE_CHANNEL ? prepare_channel(handle) : 0;
  if (error < 0) return error;
  if (!hold_callback(env, handle, callback)) return -ENOMEM;
  error = init_poll(handle);
  if (error == 0) register_handle(handle->shared, handle);
  return error;
}

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
  if (!set_up(env, shared)) return throw_error(env, "cannot set up sockets");
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
  if (!set_up(env, shared) || napi_get_reference_value(env, shared->receive_array, &array) != napi_ok) {
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
  if (error < 0) fail(handle, -error, CALL_SENDMSG);
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
