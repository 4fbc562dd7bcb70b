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

struct handle *find_handle(struct socket_env *shared, int id) {
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

void free_handle(struct handle *handle) {
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

void close_handle(struct handle *handle) {
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

void fail_handle(struct handle *handle, int error, enum socket_call call) {
  if (handle->closing) return;
  handle->close_errno = error;
  handle->close_call = call;
  close_handle(handle);
}

// --- polling ---

static void on_poll(uv_poll_t *poll, int status, int events);

void update_poll(struct handle *handle) {
  if (handle->closing) return;
  int events = 0;
  if (handle->kind == HANDLE_CONNECTOR) events = UV_WRITABLE;
  else if (!handle->paused && !handle->end_received) events = UV_READABLE;
  if (handle->first_chunk != NULL) events |= UV_WRITABLE;
  if (events == handle->polled) return;
  handle->polled = events;
  int error = events == 0 ? uv_poll_stop(handle->poll) : uv_poll_start(handle->poll, events, on_poll);
  if (error < 0) fail_handle(handle, -error, CALL_POLL);
}

// --- a channel ---

void close_if_both_ended(struct handle *handle) {
  if (handle->end_received && handle->end_sent) close_handle(handle);
}

void finish_sending(struct handle *handle) {
  if (!handle->end_wanted || handle->end_sent || handle->first_chunk != NULL) return;
  handle->end_sent = true;
  if (shutdown(handle->fd, SHUT_WR) < 0 && errno != ENOTCONN) fail_handle(handle, errno, CALL_SENDMSG);
}

static void on_writable(struct handle *handle) {
  if (handle->first_chunk == NULL) return;
  int error = send_queued(handle);
  if (error < 0) {
    fail_handle(handle, -error, CALL_SENDMSG);
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
    fail_handle(handle, EMFILE, CALL_OUT_OF_FDS);
  } else if (count < 0) {
    fail_handle(handle, (int)-count, CALL_RECVMSG);
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

static void on_environment_end(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  struct socket_env *shared = data;
  shared->ending = true;
  for (struct handle *handle = shared->handles; handle != NULL; handle = handle->next) close_handle(handle);
  napi_delete_reference(shared->env, shared->receive_array);
  end_environment_if_done(shared);
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

bool set_up_sockets(napi_env env, struct socket_env *shared) {
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

int open_handle(napi_env env, struct handle *handle, napi_value callback) {
  int error = handle->kind == HANDLE_CHANNEL ? prepare_channel(handle) : 0;
  if (error < 0) return error;
  if (!hold_callback(env, handle, callback)) return -ENOMEM;
  error = init_poll(handle);
  if (error == 0) register_handle(handle->shared, handle);
  return error;
}
