// How is an fd closed whose file we know nothing about? close(2) asks a FUSE or network file system to flush, and waits
// for its server, for ever where that is dead; a terminal drains first, a block device writes back, a lingering socket
// waits for its peer. The event loop must not.
//
// What a close can wait for is told by the inode's type and the device its file system is on, which statx gives without
// asking any server (AT_STATX_DONT_SYNC; fstat and fstatfs would ask, and wait themselves). Pipes, sockets that do not
// linger, /dev/null and its kin, and what lies on a file system with a block device of its own (ext4, xfs …) are closed
// at once. The rest goes to the thread pool: FUSE and NFS have no device, but tmpfs, overlayfs and btrfs have none
// either, and pay for it with a few microseconds. (FUSE over a block device is taken for local.)
//
// Closes that hang keep their threads. So that they cannot take all threads of the pool from the block layer, at most
// CLOSERS_MAX of them run; the others wait for one to come back.
#include "fd_close.h"
#include "fdset.h"
#include "thread_pool.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLOSERS_MAX 16
#define MEMORY_DEVICES 1 // the major number of /dev/null, /dev/zero …

// --- can it wait? ---

struct file_kind {
  mode_t type;
  uint32_t rdev_major;
  uint32_t dev_major;
};

// statx(2) by number and place, since the C library's headers may be older. 0 or -errno.
static int kind_of(int fd, struct file_kind *kind) {
#ifdef SYS_statx
  enum { EMPTY_PATH = 0x1000, DONT_SYNC = 0x4000, TYPE = 1, MODE_BYTE = 28, RDEV_MAJOR = 32, DEV_MAJOR = 34 };
  uint32_t words[64] = {0}; // struct statx
  if (syscall(SYS_statx, fd, "", EMPTY_PATH | DONT_SYNC, TYPE, words) != 0) return -errno;
  uint16_t mode;
  memcpy(&mode, (unsigned char *)words + MODE_BYTE, sizeof mode);
  *kind = (struct file_kind){.type = mode & S_IFMT, .rdev_major = words[RDEV_MAJOR], .dev_major = words[DEV_MAJOR]};
  return 0;
#else
  (void)fd, (void)kind;
  return -ENOSYS;
#endif
}

static bool lingers(int socket) {
  struct linger linger = {0};
  socklen_t length = sizeof linger;
  return getsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, &length) < 0 || linger.l_onoff != 0;
}

// 1, 0, or -EBADF.
static int close_may_wait(int fd) {
  struct file_kind kind;
  int error = kind_of(fd, &kind);
  if (error == -EBADF) return error;
  if (error < 0) return 1;
  switch (kind.type) {
    case S_IFIFO: return 0;
    case S_IFSOCK: return lingers(fd);
    case S_IFCHR: return kind.rdev_major != MEMORY_DEVICES;
    case S_IFREG:
    case S_IFDIR: return kind.dev_major == 0;
    default: return 1;
  }
}

// close(2), "Dealing with error returns": on Linux the fd is closed even so, and must not be closed again.
static int close_here(int fd) { return close(fd) < 0 && errno != EINTR ? -errno : 0; }

int close_at_once(int fd) {
  int waits = close_may_wait(fd);
  return waits != 0 ? waits : close_here(fd);
}

// --- on a thread of the pool ---

// An fd to be closed.
struct closing {
  struct closing *next;
  int fd;
};

// Takes the fds one by one from the queue; `next` links those that have nothing to do.
struct closer {
  struct pool_task task; // first, so that a task is a closer
  struct closer *next;
};

static struct {
  pthread_mutex_t lock;
  struct closing *first, *last;
  struct closer closers[CLOSERS_MAX];
  struct closer *idle;
  size_t made;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

// With the lock held.
static struct closing *take_closing(void) {
  struct closing *first = queue.first;
  if (first != NULL) queue.first = first->next;
  return first;
}

static void run_closer(struct pool_task *task) {
  struct closer *closer = (struct closer *)task;
  struct closing *closing;
  pthread_mutex_lock(&queue.lock);
  while ((closing = take_closing()) != NULL) {
    pthread_mutex_unlock(&queue.lock);
    close(closing->fd);
    free(closing);
    pthread_mutex_lock(&queue.lock);
  }
  closer->next = queue.idle;
  queue.idle = closer;
  pthread_mutex_unlock(&queue.lock);
}

// With the lock held. NULL: all have something to do.
static struct closer *take_closer(void) {
  struct closer *closer = queue.idle;
  if (closer != NULL) {
    queue.idle = closer->next;
  } else if (queue.made < CLOSERS_MAX) {
    closer = &queue.closers[queue.made++];
    closer->task.run = run_closer;
  }
  return closer;
}

static struct closer *enqueue(struct closing *closing) {
  pthread_mutex_lock(&queue.lock);
  if (queue.first == NULL) queue.first = closing;
  else queue.last->next = closing;
  queue.last = closing;
  struct closer *closer = take_closer();
  pthread_mutex_unlock(&queue.lock);
  return closer;
}

int close_unattended(int fd) {
  int result = close_at_once(fd);
  if (result <= 0) return result == -EBADF ? result : 0;
  struct closing *closing = malloc(sizeof *closing);
  if (closing == NULL) return close_here(fd);
  *closing = (struct closing){.fd = fd};
  struct closer *closer = enqueue(closing);
  // Where no thread can be made at all, it has to be this one.
  if (closer != NULL && thread_pool_submit(&closer->task) < 0) run_closer(&closer->task);
  return 0;
}
