// How does file I/O that may block run without holding up the event loop, or its end?
//
// Each call is a job: submitted on the environment's thread, run on a thread of the pool (thread_pool.c), completed on
// the environment's thread again. A job in flight keeps the event loop alive, but nothing else: an environment that
// ends (a worker that is terminated, process.exit) waits for no job.
//
// That is why a pool thread never touches JavaScript's memory, which goes with the environment. A job works on memory
// of its own, copied from and to the caller's Uint8Array on the environment's thread; or, without the copy, on memory
// from allocateIoBuffer, which the job holds by a reference count. Both are page-aligned, as O_DIRECT may want it.
//
//   submit  ── queued ── running ── done ── completed
//                └────────┴──────────┴───── discarded, if the environment is gone by then
#include "fdset.h"
#include "io_pool.h"
#include "thread_pool.h"
#include "uv-min.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS_MAX 3
// Completions that one call into JavaScript reports; more need more calls.
#define BATCH_MAX 256

// One environment's side of the pool; held by the environment and by each of its jobs.
struct io_env {
  // For every thread, under the lock:
  pthread_mutex_t lock;
  int references;
  bool ended;
  struct io_job *done_first, *done_last;
  // For the environment's thread only:
  napi_env env;
  uv_async_t *wake;
  napi_async_cleanup_hook_handle cleanup;
  napi_ref on_complete;   // (count: number) => void
  napi_ref completions;   // Float64Array: slot and result of each
  double *completed;      // its memory
  struct io_job *jobs;    // in flight, doubly linked
};

struct io_job {
  struct pool_task task; // first, so that a task is a job
  struct io_env *owner;
  struct io_job *next_done;
  const struct io_operation *operation;
  struct io_call call;
  struct io_memory *shared; // where call.data points into memory of allocateIoBuffer
  void *copy;               // where it does not
  int64_t result;
  // For the environment's thread only:
  struct io_job *previous, *next;
  napi_ref target; // the Uint8Array that a copy goes back to
  double slot;
};

static void drop_owner(struct io_env *owner) {
  pthread_mutex_lock(&owner->lock);
  int left = --owner->references;
  pthread_mutex_unlock(&owner->lock);
  if (left > 0) return;
  pthread_mutex_destroy(&owner->lock);
  free(owner);
}

static void free_job(struct io_job *job) {
  io_memory_drop(job->shared);
  free(job->copy);
  drop_owner(job->owner);
  free(job);
}

// Nobody will take the result any more.
static void discard_job(struct io_job *job) {
  if (job->operation == &io_operations[IO_OPEN] && job->result >= 0) close((int)job->result);
  free_job(job);
}

// --- on a pool thread ---

static void run_job(struct pool_task *task) {
  struct io_job *job = (struct io_job *)task;
  struct io_env *owner = job->owner;
  job->result = job->operation->run(&job->call);
  pthread_mutex_lock(&owner->lock);
  bool ended = owner->ended;
  if (!ended) {
    job->next_done = NULL;
    if (owner->done_first != NULL) owner->done_last->next_done = job;
    else owner->done_first = job;
    // Sent under the lock, since the handle lives until `ended` is set.
    if (owner->done_first == job) uv_async_send(owner->wake);
    owner->done_last = job;
  }
  pthread_mutex_unlock(&owner->lock);
  if (ended) discard_job(job);
}

// --- completion, on the environment's thread ---

static void link_job(struct io_job *job) {
  struct io_env *owner = job->owner;
  if (owner->jobs == NULL) uv_ref((uv_handle_t *)owner->wake);
  else owner->jobs->previous = job;
  job->next = owner->jobs;
  owner->jobs = job;
}

static void unlink_job(struct io_job *job) {
  struct io_env *owner = job->owner;
  if (job->previous != NULL) job->previous->next = job->next;
  else owner->jobs = job->next;
  if (job->next != NULL) job->next->previous = job->previous;
  if (owner->jobs == NULL) uv_unref((uv_handle_t *)owner->wake);
}

static void drop_target(napi_env env, struct io_job *job) {
  if (job->target != NULL) napi_delete_reference(env, job->target);
  job->target = NULL;
}

// The array may have been detached or shrunk while the job ran: then less of it is filled, or nothing.
static void copy_back(napi_env env, const struct io_job *job) {
  napi_value target = NULL;
  void *data = NULL;
  size_t length = 0;
  if (job->target == NULL || job->call.filled == 0) return;
  if (napi_get_reference_value(env, job->target, &target) != napi_ok || target == NULL) return;
  if (napi_get_typedarray_info(env, target, NULL, &length, &data, NULL, NULL) != napi_ok || data == NULL) return;
  memcpy(data, job->copy, job->call.filled < length ? job->call.filled : length);
}

static void report(struct io_env *owner, uint32_t count) {
  napi_env env = owner->env;
  napi_value on_complete = NULL, global = NULL, argument = number_result(env, count);
  if (napi_get_reference_value(env, owner->on_complete, &on_complete) != napi_ok) return;
  if (napi_get_global(env, &global) != napi_ok) return;
  // make_callback, so that what was promised settles and next ticks run.
  if (napi_make_callback(env, NULL, global, on_complete, 1, &argument, NULL) != napi_pending_exception) return;
  napi_value error = NULL;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

static void complete_job(struct io_job *job, double *place) {
  place[0] = job->slot;
  place[1] = (double)job->result;
  copy_back(job->owner->env, job);
  drop_target(job->owner->env, job);
  unlink_job(job);
  free_job(job);
}

static struct io_job *take_done(struct io_env *owner) {
  pthread_mutex_lock(&owner->lock);
  struct io_job *job = owner->done_first;
  if (job != NULL) owner->done_first = job->next_done;
  pthread_mutex_unlock(&owner->lock);
  return job;
}

static void on_wake(uv_async_t *wake) {
  struct io_env *owner = uv_handle_get_data((uv_handle_t *)wake);
  napi_handle_scope scope;
  if (napi_open_handle_scope(owner->env, &scope) != napi_ok) return;
  uint32_t count = 0;
  for (struct io_job *job; count < BATCH_MAX && (job = take_done(owner)) != NULL; count++) {
    complete_job(job, owner->completed + 2 * (size_t)count);
  }
  // What is left has its turn after everything else that waits on the loop.
  if (count == BATCH_MAX) uv_async_send(wake);
  if (count > 0) report(owner, count);
  napi_close_handle_scope(owner->env, scope);
}

// --- submission ---

// A sector or more may be meant for O_DIRECT.
static void *allocate_copy(size_t length) {
  return length >= 512 ? io_allocate_pages(length) : malloc(length > 0 ? length : 1);
}

// Gives the job memory that holds, or is to hold, the bytes of `array`. False: out of memory.
static bool attach_data(napi_env env, struct io_job *job, napi_value array, uint8_t *data, size_t length) {
  job->call.length = length;
  job->shared = io_memory_hold(env, array, data);
  if (job->shared != NULL) {
    job->call.data = data;
    return true;
  }
  job->copy = allocate_copy(length);
  if (job->copy == NULL) return false;
  job->call.data = job->copy;
  if (job->operation->data == IO_DATA_OUT) return napi_create_reference(env, array, 1, &job->target) == napi_ok;
  if (length > 0) memcpy(job->copy, data, length);
  return true;
}

static struct io_job *make_job(struct io_env *owner) {
  struct io_job *job = calloc(1, sizeof *job);
  if (job == NULL) return NULL;
  job->task.run = run_job;
  job->owner = owner;
  pthread_mutex_lock(&owner->lock);
  owner->references++;
  pthread_mutex_unlock(&owner->lock);
  return job;
}

static napi_value submit_job(napi_env env, struct io_job *job) {
  // Linked first: the job may be over before submit returns.
  link_job(job);
  int result = thread_pool_submit(&job->task);
  if (result < 0) {
    unlink_job(job);
    drop_target(env, job);
    free_job(job);
  }
  return int_result(env, result);
}

// submit(operation, slot, fd, bytes | undefined, number, number, number): 0 | -errno
static napi_value submit(napi_env env, napi_callback_info info) {
  napi_value args[4 + ARGS_MAX];
  struct io_call call = {0};
  int operation, slot;
  uint8_t *data = NULL;
  size_t length = 0;
  if (!take_args(env, info, COUNT_OF(args), args) || !arg_fd(env, args[0], &operation) ||
      !arg_fd(env, args[1], &slot) || !arg_fd(env, args[2], &call.fd)) {
    return NULL;
  }
  if ((size_t)operation >= io_operation_count) return throw_type_error(env, "no such operation");
  bool has_data = io_operations[operation].data != IO_NO_DATA;
  if (has_data && !arg_bytes(env, args[3], &data, &length)) return NULL;
  for (size_t i = 0; i < ARGS_MAX; i++) {
    if (!arg_offset(env, args[4 + i], &call.args[i])) return NULL;
  }
  struct io_env *owner = part_state(env, PART_IO_POOL);
  if (owner == NULL || owner->ended) return int_result(env, -ECANCELED);
  struct io_job *job = make_job(owner);
  if (job == NULL) return int_result(env, -ENOMEM);
  job->operation = &io_operations[operation];
  job->slot = slot;
  job->call = call;
  if (has_data && !attach_data(env, job, args[3], data, length)) {
    free_job(job);
    return int_result(env, -ENOMEM);
  }
  return submit_job(env, job);
}

// --- an environment begins and ends ---

static bool is_idle_job_of(const struct pool_task *task, void *owner) {
  if (task->run != run_job) return false;
  const struct io_job *job = (const struct io_job *)task;
  // A close that was promised is made.
  return job->owner == owner && job->operation != &io_operations[IO_CLOSE];
}

static void discard_queued(struct io_env *owner) {
  struct pool_task *task = thread_pool_withdraw(is_idle_job_of, owner);
  while (task != NULL) {
    struct pool_task *next = task->next;
    struct io_job *job = (struct io_job *)task;
    job->result = -ECANCELED;
    discard_job(job);
    task = next;
  }
}

static void on_wake_closed(uv_handle_t *wake) {
  struct io_env *owner = uv_handle_get_data(wake);
  free(wake);
  napi_remove_async_cleanup_hook(owner->cleanup); // the environment has waited for this
  drop_owner(owner);
}

// The environment ends: jobs that wait are dropped, jobs that run drop themselves when they are over.
static void end_env(napi_async_cleanup_hook_handle cleanup, void *data) {
  (void)cleanup;
  struct io_env *owner = data;
  for (struct io_job *job = owner->jobs; job != NULL; job = job->next) drop_target(owner->env, job);
  pthread_mutex_lock(&owner->lock);
  owner->ended = true;
  struct io_job *done = owner->done_first;
  owner->done_first = NULL;
  pthread_mutex_unlock(&owner->lock);
  while (done != NULL) {
    struct io_job *next = done->next_done;
    discard_job(done);
    done = next;
  }
  discard_queued(owner);
  napi_delete_reference(owner->env, owner->on_complete);
  napi_delete_reference(owner->env, owner->completions);
  uv_close((uv_handle_t *)owner->wake, on_wake_closed);
}

// start(onComplete, completions): the callback, and a Float64Array with room for BATCH_MAX pairs; once per environment
static napi_value start(napi_env env, napi_callback_info info) {
  napi_value args[2];
  napi_typedarray_type type;
  size_t length = 0;
  void *completed = NULL;
  if (!take_args(env, info, COUNT_OF(args), args)) return NULL;
  if (napi_get_typedarray_info(env, args[1], &type, &length, &completed, NULL, NULL) != napi_ok ||
      type != napi_float64_array || length < 2 * (size_t)BATCH_MAX) {
    return throw_type_error(env, "expected a Float64Array with room for a batch");
  }
  if (part_state(env, PART_IO_POOL) != NULL) return throw_error(env, "the io pool was started before");
  uv_loop_t *loop = NULL;
  struct io_env *owner = calloc(1, sizeof *owner);
  uv_async_t *wake = calloc(1, uv_handle_size(FDSET_UV_ASYNC));
  if (owner == NULL || wake == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_reference(env, args[0], 1, &owner->on_complete) != napi_ok ||
      napi_create_reference(env, args[1], 1, &owner->completions) != napi_ok ||
      uv_async_init(loop, wake, on_wake) != 0) {
    free(owner);
    free(wake);
    return throw_error(env, "cannot start the io pool");
  }
  uv_handle_set_data((uv_handle_t *)wake, owner);
  uv_unref((uv_handle_t *)wake);
  pthread_mutex_init(&owner->lock, NULL);
  owner->references = 1;
  owner->env = env;
  owner->wake = wake;
  owner->completed = completed;
  set_part_state(env, PART_IO_POOL, owner, NULL);
  napi_add_async_cleanup_hook(env, end_env, owner, &owner->cleanup);
  return NULL;
}

static bool export_operations(napi_env env, napi_value exports) {
  struct exported_number numbers[64];
  if (io_operation_count > COUNT_OF(numbers)) {
    throw_error(env, "too many operations");
    return false;
  }
  for (size_t i = 0; i < io_operation_count; i++) {
    numbers[i] = (struct exported_number){.name = io_operations[i].name, .value = (double)i};
  }
  return export_numbers(env, exports, "ioOperations", numbers, io_operation_count);
}

bool io_pool_init(napi_env env, napi_value exports) {
  static const struct exported_function functions[] = {
      {"ioStart", start},
      {"ioSubmit", submit},
      {"allocateIoBuffer", io_memory_allocate},
  };
  if (!thread_pool_init()) {
    throw_error(env, "cannot keep the addon loaded for its threads");
    return false;
  }
  return export_functions(env, exports, functions, COUNT_OF(functions)) && export_operations(env, exports);
}
