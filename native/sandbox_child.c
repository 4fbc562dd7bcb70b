// What does a process do between fork and execve? Only system calls (signal-safety(7)): its parent may have had threads,
// so the C library's locks and memory are out of bounds. Everything was prepared by the parent; a failure goes through
// a pipe that execve closes.
#include "sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

struct child {
  const struct plan *plan;
  int report;
  int ruleset;
};

__attribute__((noreturn)) static void fail(const struct child *child, enum step step, int index) {
  struct failure failure = {.step = (int)step, .index = index, .error = errno};
  ssize_t written;
  do written = write(child->report, &failure, sizeof failure);
  while (written < 0 && errno == EINTR);
  _exit(127);
}

static void reset_signals(void) {
  struct sigaction standard;
  memset(&standard, 0, sizeof standard);
  standard.sa_handler = SIG_DFL;
  // Some numbers are the C library's own or cannot be changed: those stay.
  for (int number = 1; number < NSIG; number++) (void)sigaction(number, &standard, NULL);
}

static bool close_on_exec_between(unsigned first, unsigned last) {
  if (first > last) return true;
  if (syscall(NR_CLOSE_RANGE, first, last, FDSET_CLOSE_RANGE_CLOEXEC) == 0) return true;
  if (errno != ENOSYS && errno != EINVAL && errno != EPERM) return false;
  // Linux before 5.11: one by one, up to the highest number there can be.
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return false;
  for (unsigned fd = first; fd <= last && fd < limit.rlim_cur; fd++) {
    int flags = fcntl((int)fd, F_GETFD);
    if (flags >= 0) (void)fcntl((int)fd, F_SETFD, flags | FD_CLOEXEC);
  }
  return true;
}

// First everything moves above the highest target, so that no target can hit a source; then each goes to its place.
static void place_fds(struct child *child) {
  const struct plan *plan = child->plan;
  int above = plan->fd_count == 0 ? 3 : plan->fds[plan->fd_count - 1].target + 1;
  int report = fcntl(child->report, F_DUPFD_CLOEXEC, above);
  if (report < 0) fail(child, STEP_FDS, -1);
  child->report = report;
  if (child->ruleset >= 0) {
    child->ruleset = fcntl(child->ruleset, F_DUPFD_CLOEXEC, above);
    if (child->ruleset < 0) fail(child, STEP_FDS, -1);
  }
  for (size_t i = 0; i < plan->fd_count; i++) {
    plan->staged[i] = fcntl(plan->fds[i].source, F_DUPFD_CLOEXEC, above);
    if (plan->staged[i] < 0) fail(child, STEP_FDS, (int)i);
  }
  unsigned next = 0;
  for (size_t i = 0; i < plan->fd_count; i++) {
    unsigned target = (unsigned)plan->fds[i].target;
    // dup2 leaves close-on-exec clear, here and nowhere else.
    if (dup2(plan->staged[i], (int)target) < 0) fail(child, STEP_FDS, (int)i);
    if (target > next && !close_on_exec_between(next, target - 1)) fail(child, STEP_FDS, (int)i);
    next = target + 1;
  }
  if (!close_on_exec_between(next, ~0U)) fail(child, STEP_FDS, -1);
}

// The raw calls: those of the C library take locks to reach every thread.
static void drop_identity(const struct child *child) {
  const struct plan *plan = child->plan;
  for (int capability = 0; capability < 64; capability++) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    // EINVAL: the last one is behind us. EPERM: not ours to drop; no_new_privs makes the set useless.
    if (errno == EINVAL || errno == EPERM) break;
    fail(child, STEP_BOUNDING_SET, capability);
  }
  (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  // Without a new uid the groups go where they can: an ordinary user keeps them.
  if (syscall(SYS_setgroups, 0, NULL) < 0 && (errno != EPERM || plan->uid >= 0)) fail(child, STEP_GROUPS, -1);
  if (plan->uid >= 0) {
    if (syscall(SYS_setresgid, plan->gid, plan->gid, plan->gid) < 0) fail(child, STEP_GID, -1);
    if (syscall(SYS_setresuid, plan->uid, plan->uid, plan->uid) < 0) fail(child, STEP_UID, -1);
  }
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
  memset(none, 0, sizeof none);
  if (syscall(SYS_capset, &header, none) < 0) fail(child, STEP_CAPABILITIES, -1);
}

static void try_probes(const struct child *child) {
  for (int i = 0; child->plan->probes[i] != NULL; i++) {
    int fd = open(child->plan->probes[i], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) fail(child, STEP_PROBE, i);
    close(fd);
  }
}

// Behind every change of identity, which clears it, and before the filter, which refuses it.
static void follow_parent(const struct child *child, pid_t parent) {
  if (child->plan->death_signal == 0) return;
  if (prctl(PR_SET_PDEATHSIG, child->plan->death_signal, 0, 0, 0) < 0) fail(child, STEP_DEATH_SIGNAL, -1);
  // It may have died before the call.
  if (getppid() != parent) _exit(127);
}

static void set_limits(const struct child *child) {
  struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
  if (setrlimit(RLIMIT_CORE, &none) < 0) fail(child, STEP_CORE, -1);
}

static void restrict_self(const struct child *child, pid_t parent) {
  const struct plan *plan = child->plan;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail(child, STEP_NO_NEW_PRIVS, -1);
  if (child->ruleset >= 0 && syscall(NR_LANDLOCK_RESTRICT_SELF, child->ruleset, 0) < 0) fail(child, STEP_LANDLOCK, -1);
  follow_parent(child, parent);
  if (plan->filter.len > 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &plan->filter) < 0)
    fail(child, STEP_SECCOMP, -1);
}

void run_child(const struct plan *plan, int report, pid_t parent) {
  struct child child = {.plan = plan, .report = report, .ruleset = plan->ruleset};
  reset_signals();
  // A session of its own: no Ctrl-C from the terminal, and no terminal to put input into.
  if (setsid() < 0) fail(&child, STEP_SESSION, -1);
  place_fds(&child);
  if (plan->cwd != NULL && chdir(plan->cwd) < 0) fail(&child, STEP_CWD, -1);
  if (plan->restricted) {
    set_limits(&child);
    drop_identity(&child);
    try_probes(&child);
    restrict_self(&child, parent);
  } else {
    try_probes(&child);
    follow_parent(&child, parent);
  }
  sigset_t empty;
  sigemptyset(&empty);
  (void)sigprocmask(SIG_SETMASK, &empty, NULL);
  execve(plan->file, plan->args, plan->env);
  fail(&child, STEP_EXEC, -1);
}
