// Where do calls run that may block for ever? On threads of our own, one pool for the process.
//
// libuv's pool will not do: it has four threads, and libuv joins them at exit, so that one read of a file whose server
// is gone would hold up process.exit. These threads are detached, take no signals, and nobody ever waits for them.
//
// A task that is submitted wakes one idle thread (the one that went idle last) or makes a new one, up to THREADS_MAX.
// That thread, before it runs the task, wakes the next if there are more tasks: so a task that blocks holds up no
// other, while many short ones do not wake a thread each. A thread ends after IDLE_SECONDS without a task.
#include "thread_pool.h"
#include "fdset.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#define THREADS_MAX 64
#define IDLE_SECONDS 5
// The calls need little of it; the kernel gives a page when it is touched.
#define STACK_SIZE ((size_t)256 * 1024)

// A thread of the pool; lives on that thread's stack.
struct worker {
  pthread_cond_t wake;
  bool woken;
  struct worker *next_idle;
};

// While tasks are queued, a thread is on its way to them (`waking`) or all threads run tasks and come back for more.
static struct {
  pthread_mutex_t lock;
  struct pool_task *first, *last;
  struct worker *idle;
  int threads;
  bool waking;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *worker_main(void *unused);

static void enqueue(struct pool_task *task) {
  task->next = NULL;
  if (pool.first == NULL) pool.first = task;
  else pool.last->next = task;
  pool.last = task;
}

static struct pool_task *dequeue(void) {
  struct pool_task *task = pool.first;
  if (task != NULL) pool.first = task->next;
  return task;
}

static void leave_idle(struct worker *self) {
  struct worker **link = &pool.idle;
  while (*link != self) link = &(*link)->next_idle;
  *link = self->next_idle;
}

// Waits with the lock held until somebody wakes this thread, or for IDLE_SECONDS: then false.
static bool wait_for_wake(struct worker *self) {
  struct timespec deadline;
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  deadline.tv_sec += IDLE_SECONDS;
  self->woken = false;
  self->next_idle = pool.idle;
  pool.idle = self;
  int result = 0;
  while (!self->woken && result == 0) result = pthread_cond_timedwait(&self->wake, &pool.lock, &deadline);
  if (!self->woken) leave_idle(self);
  return self->woken;
}

// A thread inherits the signal mask it is made under: all blocked, so that Node's threads get the signals.
static int start_worker(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_t attributes;
  int result = pthread_attr_init(&attributes);
  if (result != 0) return -result;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  result = pthread_create(&thread, &attributes, worker_main, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (result == 0) pool.threads++;
  return -result;
}

// Sends one more thread to the queue unless one is on its way, or none can be had. With the lock held.
static void wake_one(void) {
  if (pool.waking) return;
  struct worker *worker = pool.idle;
  if (worker != NULL) {
    pool.idle = worker->next_idle;
    worker->woken = true;
    pthread_cond_signal(&worker->wake);
    pool.waking = true;
  } else if (pool.threads < THREADS_MAX) {
    pool.waking = start_worker() == 0;
  }
}

// The next task, NULL where this thread was idle for too long. With the lock held.
static struct pool_task *next_task(struct worker *self) {
  struct pool_task *task;
  while ((task = dequeue()) == NULL) {
    if (!wait_for_wake(self)) return NULL;
    pool.waking = false;
  }
  if (pool.first != NULL) wake_one();
  return task;
}

static void init_wake(pthread_cond_t *wake) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(wake, &attributes);
  pthread_condattr_destroy(&attributes);
}

static void *worker_main(void *unused) {
  (void)unused;
  struct worker self = {.woken = true};
  init_wake(&self.wake);
  pthread_mutex_lock(&pool.lock);
  pool.waking = false;
  for (struct pool_task *task; (task = next_task(&self)) != NULL;) {
    pthread_mutex_unlock(&pool.lock);
    task->run(task); // frees it
    pthread_mutex_lock(&pool.lock);
  }
  pool.threads--;
  pthread_mutex_unlock(&pool.lock);
  pthread_cond_destroy(&self.wake);
  return NULL;
}

// A worker of Node that ends closes the addons it has loaded. Where it was the only one to load this, the library would
// be unmapped under the pool's threads: so it stays for good.
static bool pin_library(void) {
  Dl_info library;
  return dladdr((const void *)&pool, &library) != 0 &&
         dlopen(library.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != NULL;
}

bool thread_pool_init(void) { return pin_library(); }

int thread_pool_submit(struct pool_task *task) {
  pthread_mutex_lock(&pool.lock);
  enqueue(task);
  wake_one();
  // Not one thread could be made, so this is the only task.
  bool stranded = pool.threads == 0;
  if (stranded) dequeue();
  pthread_mutex_unlock(&pool.lock);
  return stranded ? -EAGAIN : 0;
}

struct pool_task *thread_pool_withdraw(bool (*wanted)(const struct pool_task *task, void *data), void *data) {
  struct pool_task *withdrawn = NULL;
  pthread_mutex_lock(&pool.lock);
  struct pool_task *task = pool.first;
  pool.first = NULL;
  while (task != NULL) {
    struct pool_task *next = task->next;
    if (wanted(task, data)) {
      task->next = withdrawn;
      withdrawn = task;
    } else {
      enqueue(task);
    }
    task = next;
  }
  pthread_mutex_unlock(&pool.lock);
  return withdrawn;
}
