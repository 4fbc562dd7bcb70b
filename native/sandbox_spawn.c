// How does a process start with exactly the fds and rights that it is given? The plan comes from TypeScript as an object;
// here it becomes plain memory that the child can use, and the child's word on how it went becomes the answer.
#include "sandbox.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// What a failure is called: the system call that failed, `open` for a path that the child must be able to read.
static const char *const step_names[] = {
    [STEP_THREAD] = "gettid",
    [STEP_FORK] = "fork",
    [STEP_SESSION] = "setsid",
    [STEP_FDS] = "dup2",
    [STEP_CWD] = "chdir",
    [STEP_CORE] = "setrlimit",
    [STEP_BOUNDING_SET] = "PR_CAPBSET_DROP",
    [STEP_GROUPS] = "setgroups",
    [STEP_GID] = "setresgid",
    [STEP_UID] = "setresuid",
    [STEP_CAPABILITIES] = "capset",
    [STEP_PROBE] = "open",
    [STEP_NO_NEW_PRIVS] = "PR_SET_NO_NEW_PRIVS",
    [STEP_LANDLOCK] = "landlock_restrict_self",
    [STEP_DEATH_SIGNAL] = "PR_SET_PDEATHSIG",
    [STEP_SECCOMP] = "seccomp",
    [STEP_EXEC] = "execve",
    [STEP_PIDFD] = "pidfd_open",
    [STEP_WATCH] = "uv_poll_init",
};

static void free_strings(char **strings) {
  if (strings == NULL) return;
  for (size_t i = 0; strings[i] != NULL; i++) free(strings[i]);
  free(strings);
}

static void free_plan(struct plan *plan) {
  free(plan->file);
  free(plan->cwd);
  free_strings(plan->args);
  free_strings(plan->env);
  free_strings(plan->probes);
  free(plan->fds);
  free(plan->staged);
  free(plan->filter.filter);
}

static bool member(napi_env env, napi_value object, const char *name, napi_value *value) {
  if (napi_get_named_property(env, object, name, value) == napi_ok) return true;
  throw_type_error(env, "expected a plan");
  return false;
}

static bool array_member(napi_env env, napi_value object, const char *name, napi_value *array, uint32_t *length) {
  if (!member(env, object, name, array)) return false;
  if (napi_get_array_length(env, *array, length) == napi_ok) return true;
  throw_type_error(env, "expected an array");
  return false;
}

static bool string_member(napi_env env, napi_value object, const char *name, char **text) {
  napi_value value;
  if (!member(env, object, name, &value)) return false;
  *text = arg_string(env, value, NULL);
  return *text != NULL;
}

// NULL behind the last one.
static bool strings_member(napi_env env, napi_value object, const char *name, char ***strings) {
  napi_value array;
  uint32_t length;
  if (!array_member(env, object, name, &array, &length)) return false;
  char **texts = calloc((size_t)length + 1, sizeof *texts);
  if (texts == NULL) {
    throw_error(env, "out of memory");
    return false;
  }
  *strings = texts; // the plan owns it from here
  for (uint32_t i = 0; i < length; i++) {
    napi_value value = NULL;
    if (napi_get_element(env, array, i, &value) != napi_ok) {
      throw_type_error(env, "expected an array of strings");
      return false;
    }
    texts[i] = arg_string(env, value, NULL);
    if (texts[i] == NULL) return false;
  }
  return true;
}

static bool int_member(napi_env env, napi_value object, const char *name, int *number) {
  napi_value value;
  return member(env, object, name, &value) && arg_int(env, value, number);
}

// A flat array: source, target, source, target …
static bool fds_member(napi_env env, napi_value object, struct plan *plan) {
  napi_value array;
  uint32_t length;
  if (!array_member(env, object, "fds", &array, &length)) return false;
  plan->fd_count = length / 2;
  plan->fds = calloc(plan->fd_count + 1, sizeof *plan->fds);
  plan->staged = calloc(plan->fd_count + 1, sizeof *plan->staged);
  if (plan->fds == NULL || plan->staged == NULL) {
    throw_error(env, "out of memory");
    return false;
  }
  for (uint32_t i = 0; i < plan->fd_count; i++) {
    napi_value source = NULL;
    napi_value target = NULL;
    if (napi_get_element(env, array, 2 * i, &source) != napi_ok ||
        napi_get_element(env, array, 2 * i + 1, &target) != napi_ok || !arg_fd(env, source, &plan->fds[i].source) ||
        !arg_fd(env, target, &plan->fds[i].target)) {
      throw_type_error(env, "expected pairs of fds");
      return false;
    }
  }
  return true;
}

static bool filter_member(napi_env env, napi_value object, struct plan *plan) {
  napi_value value;
  uint8_t *bytes;
  size_t length;
  if (!member(env, object, "filter", &value) || !arg_bytes(env, value, &bytes, &length)) return false;
  size_t count = length / sizeof(struct sock_filter);
  if (length % sizeof(struct sock_filter) != 0 || count > BPF_MAXINSNS) {
    throw_type_error(env, "expected at most 4096 BPF instructions");
    return false;
  }
  if (count == 0) return true;
  plan->filter.filter = malloc(length);
  if (plan->filter.filter == NULL) {
    throw_error(env, "out of memory");
    return false;
  }
  memcpy(plan->filter.filter, bytes, length);
  plan->filter.len = (unsigned short)count;
  return true;
}

static bool cwd_member(napi_env env, napi_value object, struct plan *plan) {
  napi_value value;
  napi_valuetype type;
  if (!member(env, object, "cwd", &value) || napi_typeof(env, value, &type) != napi_ok) return false;
  if (type == napi_undefined) return true;
  plan->cwd = arg_string(env, value, NULL);
  return plan->cwd != NULL;
}

static bool read_plan(napi_env env, napi_value object, struct plan *plan) {
  napi_value restricted;
  return string_member(env, object, "file", &plan->file) && strings_member(env, object, "args", &plan->args) &&
         strings_member(env, object, "env", &plan->env) && strings_member(env, object, "probes", &plan->probes) &&
         cwd_member(env, object, plan) && fds_member(env, object, plan) && filter_member(env, object, plan) &&
         member(env, object, "restricted", &restricted) && arg_bool(env, restricted, &plan->restricted) &&
         int_member(env, object, "uid", &plan->uid) && int_member(env, object, "gid", &plan->gid) &&
         int_member(env, object, "ruleset", &plan->ruleset) &&
         int_member(env, object, "deathSignal", &plan->death_signal);
}

static void reap(pid_t pid) {
  siginfo_t info;
  while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR) continue;
}

// Reads until execve has closed the other end. Returns false where the child has told a failure.
static bool hear_child(int report, struct failure *failure) {
  struct failure told;
  ssize_t length;
  do length = read(report, &told, sizeof told);
  while (length < 0 && errno == EINTR);
  if (length != (ssize_t)sizeof told) return true;
  *failure = told;
  return false;
}

static pid_t parent_failure(struct failure *failure, enum step step, int error) {
  *failure = (struct failure){.step = (int)step, .index = -1, .error = error};
  return -1;
}

// The pid of a child that has reached execve, and its pidfd; or -1 and the failure.
static pid_t start(const struct plan *plan, int *pidfd, struct failure *failure) {
  pid_t parent = getpid();
  // The kernel sends the death signal when the *thread* that forked is gone: a worker's end would end the child.
  if (syscall(SYS_gettid) != parent) return parent_failure(failure, STEP_THREAD, EPERM);
  int report[2];
  if (pipe2(report, O_CLOEXEC) < 0) return parent_failure(failure, STEP_FORK, errno);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); // no handler of ours may run in the child
  pid_t pid = fork();
  int error = errno;
  if (pid == 0) run_child(plan, report[1], parent);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(report[1]);
  bool started = pid > 0 && hear_child(report[0], failure);
  close(report[0]);
  if (pid < 0) return parent_failure(failure, STEP_FORK, error);
  if (started) {
    *pidfd = (int)syscall(NR_PIDFD_OPEN, pid, 0); // close-on-exec; the child is unreaped, so the pid is its own
    if (*pidfd >= 0) return pid;
    parent_failure(failure, STEP_PIDFD, errno);
    kill(pid, SIGKILL);
  }
  reap(pid);
  return -1;
}

static bool set_int(napi_env env, napi_value object, const char *name, int number) {
  return napi_set_named_property(env, object, name, int_result(env, number)) == napi_ok;
}

static napi_value failure_result(napi_env env, const struct failure *failure) {
  napi_value result = NULL;
  napi_value step = NULL;
  bool ok = napi_create_object(env, &result) == napi_ok &&
            napi_create_string_utf8(env, step_names[failure->step], NAPI_AUTO_LENGTH, &step) == napi_ok &&
            napi_set_named_property(env, result, "step", step) == napi_ok &&
            set_int(env, result, "index", failure->index) && set_int(env, result, "errno", failure->error);
  return ok ? result : throw_error(env, "cannot make the answer");
}

static napi_value started_result(napi_env env, pid_t pid, napi_value watch) {
  napi_value result = NULL;
  bool ok = napi_create_object(env, &result) == napi_ok && set_int(env, result, "pid", pid) &&
            napi_set_named_property(env, result, "watch", watch) == napi_ok;
  return ok ? result : throw_error(env, "cannot make the answer");
}

// (plan, onExit(code, signal)): {pid, watch} or {step, index, errno}. `code` is -1 for a child that a signal ended.
static napi_value spawn(napi_env env, napi_callback_info info) {
  napi_value args[2];
  if (!take_args(env, info, 2, args)) return NULL;
  struct plan plan = {.ruleset = -1, .uid = -1};
  napi_value result = NULL;
  if (read_plan(env, args[0], &plan)) {
    struct failure failure = {.step = STEP_FORK};
    int pidfd = -1;
    pid_t pid = start(&plan, &pidfd, &failure);
    napi_value watch = NULL;
    int error = pid < 0 ? 0 : watch_exit(env, pidfd, args[1], &watch);
    if (error != 0) {
      kill(pid, SIGKILL);
      reap(pid);
      pid = parent_failure(&failure, STEP_WATCH, error);
    }
    result = pid < 0 ? failure_result(env, &failure) : started_result(env, pid, watch);
  }
  free_plan(&plan);
  return result;
}

static const struct exported_function functions[] = {
    {"spawn", spawn},
};

bool sandbox_spawn_init(napi_env env, napi_value exports) {
  return export_functions(env, exports, functions, COUNT_OF(functions)) && sandbox_exit_init(env, exports);
}
