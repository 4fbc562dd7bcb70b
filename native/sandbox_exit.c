// How is the end of a child seen that libuv does not know? Through its pidfd, which becomes readable (pidfd_open(2)), on
// Node's own event loop; then it is reaped.
#include "sandbox.h"
#include "uv-min.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Freed when libuv has let go of the handle and JavaScript of the external value.
struct watch {
  napi_env env;
  napi_ref on_exit;
  napi_async_cleanup_hook_handle hook;
  uv_poll_t *poll;
  int pidfd; // -1 once the child is reaped
  bool closing;
  bool collected;
};

static void free_watch_if_done(struct watch *watch) {
  if (watch->poll == NULL && watch->collected) free(watch);
}

static void on_closed(uv_handle_t *handle) {
  struct watch *watch = uv_handle_get_data(handle);
  free(handle);
  watch->poll = NULL;
  if (watch->pidfd >= 0) close(watch->pidfd);
  watch->pidfd = -1;
  if (watch->hook != NULL) napi_remove_async_cleanup_hook(watch->hook);
  watch->hook = NULL;
  free_watch_if_done(watch);
}

static void close_watch(struct watch *watch) {
  if (watch->closing) return;
  watch->closing = true;
  uv_poll_stop(watch->poll);
  uv_close((uv_handle_t *)watch->poll, on_closed);
}

static void on_environment_end(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  close_watch(data);
}

static void on_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct watch *watch = data;
  watch->collected = true;
  free_watch_if_done(watch);
}

static void tell_exit(struct watch *watch, const siginfo_t *info) {
  napi_env env = watch->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback = NULL;
  napi_value global = NULL;
  bool killed = info->si_code != CLD_EXITED;
  napi_value args[2] = {int_result(env, killed ? -1 : info->si_status), int_result(env, killed ? info->si_status : 0)};
  if (napi_get_reference_value(env, watch->on_exit, &callback) == napi_ok && callback != NULL &&
      napi_get_global(env, &global) == napi_ok &&
      napi_make_callback(env, NULL, global, callback, 2, args, NULL) == napi_pending_exception) {
    napi_value error = NULL;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  napi_delete_reference(env, watch->on_exit);
  watch->on_exit = NULL;
  napi_close_handle_scope(env, scope);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct watch *watch = uv_handle_get_data((uv_handle_t *)poll);
  siginfo_t info;
  memset(&info, 0, sizeof info);
  int result;
  do result = waitid((idtype_t)FDSET_P_PIDFD, (id_t)watch->pidfd, &info, WEXITED | WNOHANG);
  while (result < 0 && errno == EINTR);
  if (result == 0 && info.si_pid == 0) return; // not yet
  // Somebody else's wait(2) took the status: the child is gone all the same.
  if (result < 0) info = (siginfo_t){.si_code = CLD_KILLED};
  close(watch->pidfd);
  watch->pidfd = -1;
  close_watch(watch);
  tell_exit(watch, &info);
}

int watch_exit(napi_env env, int pidfd, napi_value on_exit, napi_value *external) {
  uv_loop_t *loop = NULL;
  struct watch *watch = calloc(1, sizeof *watch);
  uv_poll_t *poll = malloc(uv_handle_size(FDSET_UV_POLL));
  int error = ENOMEM;
  if (watch != NULL && poll != NULL && napi_get_uv_event_loop(env, &loop) == napi_ok)
    error = -uv_poll_init(loop, poll, pidfd);
  if (error != 0) {
    close(pidfd);
    free(poll);
    free(watch);
    return error;
  }
  *watch = (struct watch){.env = env, .poll = poll, .pidfd = pidfd};
  uv_handle_set_data((uv_handle_t *)poll, watch);
  if (napi_create_external(env, watch, on_collected, NULL, external) != napi_ok) {
    watch->collected = true;
    close_watch(watch);
    return ENOMEM;
  }
  if (napi_create_reference(env, on_exit, 1, &watch->on_exit) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_environment_end, watch, &watch->hook) != napi_ok) {
    close_watch(watch);
    return ENOMEM;
  }
  error = -uv_poll_start(poll, UV_READABLE, on_readable);
  if (error != 0) close_watch(watch);
  return error;
}

static bool arg_watch(napi_env env, napi_value value, struct watch **watch) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) == napi_ok && data != NULL) {
    *watch = data;
    return true;
  }
  throw_type_error(env, "expected a watch");
  return false;
}

// (watch, signal): 0 or -errno, -ESRCH once it has ended.
static napi_value spawned_kill(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct watch *watch;
  int number;
  if (!take_args(env, info, 2, args) || !arg_watch(env, args[0], &watch) || !arg_int(env, args[1], &number))
    return NULL;
  if (watch->pidfd < 0) return int_result(env, -ESRCH);
  return syscall_result(env, (int)syscall(NR_PIDFD_SEND_SIGNAL, watch->pidfd, number, NULL, 0));
}

// (watch, on): whether the wait for the exit keeps the event loop alive.
static napi_value spawned_ref(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct watch *watch;
  bool on;
  if (!take_args(env, info, 2, args) || !arg_watch(env, args[0], &watch) || !arg_bool(env, args[1], &on)) return NULL;
  if (watch->poll == NULL) return NULL;
  if (on) uv_ref((uv_handle_t *)watch->poll);
  else uv_unref((uv_handle_t *)watch->poll);
  return NULL;
}

static const struct exported_function functions[] = {
    {"spawnedKill", spawned_kill},
    {"spawnedRef", spawned_ref},
};

bool sandbox_exit_init(napi_env env, napi_value exports) {
  return export_functions(env, exports, functions, COUNT_OF(functions));
}
