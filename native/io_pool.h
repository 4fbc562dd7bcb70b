// The jobs of the io pool, between io_pool.c (who asked, where the memory is) and io_ops.c (the system calls).
#ifndef FDSET_IO_POOL_H
#define FDSET_IO_POOL_H

#include <stddef.h>
#include <stdint.h>

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

#endif
