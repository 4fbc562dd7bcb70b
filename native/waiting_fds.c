// Who gets an fd that has come? The command that is running when it asks; until then it waits here, with the offset of
// the byte it came with. docs/reference/fdset.md section 1: a newer one replaces an older one that nobody took.
#include "fd_close.h"
#include "fd_receive.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

// Fds that were refused are remembered as such while no more wait than this.
#define MAX_REFUSED 4096

bool is_reserved_fd(struct socket_env *shared, int fd) {
  if (fd < shared->fd_limit - RESERVED_FDS) return false;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return false;
  shared->fd_limit = limit.rlim_cur > INT32_MAX ? INT32_MAX : (long)limit.rlim_cur;
  return fd >= shared->fd_limit - RESERVED_FDS;
}

// QEMU wants what it receives to block, and so do we: it is a property of the open file description, which the sender
// shares.
static void clear_nonblock(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) != 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

static int grow_waiting(struct handle *handle) {
  if (handle->waiting_count < handle->waiting_capacity) return 0;
  size_t capacity = handle->waiting_capacity == 0 ? 16 : 2 * handle->waiting_capacity;
  struct waiting_fd *waiting = realloc(handle->waiting, capacity * sizeof *waiting);
  if (waiting == NULL) return -ENOMEM;
  handle->waiting = waiting;
  handle->waiting_capacity = capacity;
  return 0;
}

int add_waiting_fd(struct handle *handle, int fd, int64_t start) {
  int error = grow_waiting(handle);
  if (error < 0) {
    close_unattended(fd);
    return error;
  }
  if (is_reserved_fd(handle->shared, fd)) {
    close_unattended(fd);
    fd = -1;
    // A peer can go on like that; who has taken none of so many will not miss the last.
    if (handle->waiting_count > MAX_REFUSED) return 0;
  } else {
    clear_nonblock(fd);
  }
  handle->waiting[handle->waiting_count++] = (struct waiting_fd){.fd = fd, .start = start};
  return 0;
}

static void remove_waiting(struct handle *handle, size_t count) {
  handle->waiting_count -= count;
  memmove(handle->waiting, handle->waiting + count, handle->waiting_count * sizeof *handle->waiting);
}

void settle_fds(struct handle *handle, int64_t before) {
  size_t count = 0;
  while (count < handle->waiting_count && handle->waiting[count].start < before) count++;
  if (count < 2) return;
  for (size_t i = 0; i < count - 1; i++) {
    if (handle->waiting[i].fd >= 0) close_unattended(handle->waiting[i].fd);
  }
  remove_waiting(handle, count - 1);
}

int take_fd(struct handle *handle, int64_t before) {
  settle_fds(handle, before);
  if (handle->waiting_count == 0 || handle->waiting[0].start >= before) return NO_FD;
  int fd = handle->waiting[0].fd;
  remove_waiting(handle, 1);
  return fd >= 0 ? fd : FD_REFUSED;
}

void close_waiting_fds(struct handle *handle) {
  for (size_t i = 0; i < handle->waiting_count; i++) {
    if (handle->waiting[i].fd >= 0) close_unattended(handle->waiting[i].fd);
  }
  free(handle->waiting);
  handle->waiting = NULL;
  handle->waiting_count = handle->waiting_capacity = 0;
}
