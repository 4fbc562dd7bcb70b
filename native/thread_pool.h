// Threads for calls that may block for ever: see thread_pool.c.
#ifndef FDSET_THREAD_POOL_H
#define FDSET_THREAD_POOL_H

#include <stdbool.h>

// One call to be made on a pool thread; embed it in what the call needs.
struct pool_task {
  struct pool_task *next;
  void (*run)(struct pool_task *task);
};

// To be called once before the first task, where files may still be opened. False: out of resources.
bool thread_pool_init(void);

// Runs the task on a thread of the pool, at once or when one is free; any thread may call this. Returns 0, or a negated
// errno where there is no thread at all and none can be made (the task is not kept then).
int thread_pool_submit(struct pool_task *task);

// Takes the tasks out of the queue that `wanted` picks and returns them as a list; tasks that run are left alone.
struct pool_task *thread_pool_withdraw(bool (*wanted)(const struct pool_task *task, void *data), void *data);

#endif
