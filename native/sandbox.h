// What do the files of the sandbox share? System call numbers that older headers lack, the plan of a process to start,
// and who does which part of it: sandbox_spawn.c reads the plan and forks, sandbox_child.c is the child up to execve,
// sandbox_exit.c waits for its end.
#ifndef FDSET_SANDBOX_H
#define FDSET_SANDBOX_H

#include "fdset.h"

#include <linux/filter.h>
#include <sys/types.h>

// From 424 up they are the same on every architecture.
#define NR_PIDFD_SEND_SIGNAL 424
#define NR_PIDFD_OPEN 434
#define NR_CLOSE_RANGE 436
#define NR_LANDLOCK_CREATE_RULESET 444
#define NR_LANDLOCK_ADD_RULE 445
#define NR_LANDLOCK_RESTRICT_SELF 446

#define FDSET_CLOSE_RANGE_CLOEXEC (1U << 2)
#define FDSET_P_PIDFD 3

bool sandbox_spawn_init(napi_env env, napi_value exports);
bool sandbox_exit_init(napi_env env, napi_value exports);

// The steps of starting a process, for the report of a failure.
enum step {
  STEP_THREAD,
  STEP_FORK,
  STEP_SESSION,
  STEP_FDS,
  STEP_CWD,
  STEP_CORE,
  STEP_BOUNDING_SET,
  STEP_GROUPS,
  STEP_GID,
  STEP_UID,
  STEP_CAPABILITIES,
  STEP_PROBE,
  STEP_NO_NEW_PRIVS,
  STEP_LANDLOCK,
  STEP_DEATH_SIGNAL,
  STEP_SECCOMP,
  STEP_EXEC,
  STEP_PIDFD,
  STEP_WATCH,
};

struct failure {
  int step;
  int index; // of the fd or the probe
  int error;
};

struct fd_pair {
  int source;
  int target;
};

// Fields are named as in the object that TypeScript passes.
struct plan {
  char *file;
  char **args;
  char **env;
  char *cwd; // NULL: stays
  char **probes;
  struct fd_pair *fds; // ascending by target
  int *staged;
  size_t fd_count;
  bool restricted;
  int uid; // -1: stays
  int gid;
  int ruleset; // -1: none
  int death_signal;
  struct sock_fprog filter; // len 0: none
};

// The child's life between fork and execve. A failure is written to `report`.
__attribute__((noreturn)) void run_child(const struct plan *plan, int report, pid_t parent);

// Calls on_exit(code, signal) when the child ends, and reaps it. Owns `pidfd` from the start; `*external` becomes what
// JavaScript holds the child by. 0 or an errno.
int watch_exit(napi_env env, int pidfd, napi_value on_exit, napi_value *external);

#endif
