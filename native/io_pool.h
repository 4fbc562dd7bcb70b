// The io pool: io_pool.c (jobs), io_ops.c (the system calls), io_memory.c (memory shared with JavaScript).
#ifndef FDSET_IO_POOL_H
#define FDSET_IO_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <node_api.h>

// What a call works on. `data` belongs to the job: no JavaScript, and no garbage collection, can take it away.
struct io_call {
  int fd;
  int64_t args[3];
  uint8_t *data;
  size_t length;
  size_t filled; // set by the call: the bytes of `data` that go back to JavaScript
};

enum io_data { IO_NO_DATA, IO_DATA_IN, IO_DATA_OUT };

struct io_operation {
  const char *name;
  enum io_data data;
  // Runs on a pool thread, may block for ever. Returns a number from 0, or a negated errno.
  int64_t (*run)(struct io_call *call);
};

enum { IO_OPEN, IO_CLOSE }; // their places in io_operations

extern const struct io_operation io_operations[];
extern const size_t io_operation_count;

// --- io_memory.c ---

struct io_memory;

// allocateIoBuffer(size): ArrayBuffer, zeroed
napi_value io_memory_allocate(napi_env env, napi_callback_info info);
// The memory that a Uint8Array at `data` lies in, to be dropped by the caller; NULL for an ordinary one.
struct io_memory *io_memory_hold(napi_env env, napi_value array, const uint8_t *data);
// Any thread may call this; NULL is left alone.
void io_memory_drop(struct io_memory *memory);
// Page-aligned, as O_DIRECT may want it; for free(). NULL: out of memory.
void *io_allocate_pages(size_t size);

#endif
