// What happens to bytes and fds that the kernel does not take at once? They wait in a queue, in order, and no fd is
// lost, doubled or sent with another byte than the first of its message.
//
// A message that is sent at once goes out from the caller's memory with the caller's fds. What has to wait is copied,
// and its fds are duplicated: the caller may close its own when the call returns. After a partial write only bytes are
// left, as the fds went with the first one; when the sendmsg that carried a message's fds has succeeded, the duplicates
// are closed.
#include "fd_close.h"
#include "fd_socket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

// Small writes to a slow reader share chunks of this size.
#define CHUNK_BYTES ((size_t)16 * 1024 - sizeof(struct chunk))
#define GATHERED_CHUNKS 64

struct chunk {
  struct chunk *next;
  size_t capacity, filled, sent;
  size_t fd_count; // fds that go with the first byte; 0 once they are sent
  int *fds;
  uint8_t bytes[];
};

// One sendmsg: the bytes taken, or -errno.
static ssize_t send_message(int socket, struct iovec *iov, size_t iov_count, const int *fds, size_t fd_count) {
  union {
    struct cmsghdr header;
    unsigned char bytes[CMSG_SPACE(MAX_SENT_FDS * sizeof(int))];
  } control;
  struct msghdr header = {.msg_iov = iov, .msg_iovlen = iov_count};
  if (fd_count > 0) {
    size_t size = fd_count * sizeof(int);
    header.msg_control = &control;
    header.msg_controllen = CMSG_SPACE(size);
    memset(&control, 0, CMSG_SPACE(size));
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), fds, size);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

// --- the queue ---

static void close_fds(int *fds, size_t count) {
  for (size_t i = 0; i < count; i++) close_unattended(fds[i]);
}

static void free_chunk(struct chunk *chunk) {
  close_fds(chunk->fds, chunk->fd_count);
  free(chunk->fds);
  free(chunk);
}

void free_queue(struct handle *handle) {
  while (handle->first_chunk != NULL) {
    struct chunk *chunk = handle->first_chunk;
    handle->first_chunk = chunk->next;
    free_chunk(chunk);
  }
  handle->last_chunk = NULL;
  handle->buffered = 0;
}

// Duplicates of `fds` for the chunk: 0 or -errno.
static int keep_fds(struct chunk *chunk, const int *fds, size_t count) {
  chunk->fds = malloc(count * sizeof *fds);
  if (chunk->fds == NULL) return -ENOMEM;
  for (; chunk->fd_count < count; chunk->fd_count++) {
    int fd = fcntl(fds[chunk->fd_count], F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return -errno;
    chunk->fds[chunk->fd_count] = fd;
  }
  return 0;
}

static int new_chunk(struct chunk **out, size_t length, const int *fds, size_t fd_count) {
  size_t capacity = length < CHUNK_BYTES ? CHUNK_BYTES : length;
  struct chunk *chunk = malloc(sizeof *chunk + capacity);
  if (chunk == NULL) return -ENOMEM;
  *chunk = (struct chunk){.capacity = capacity};
  int error = fd_count == 0 ? 0 : keep_fds(chunk, fds, fd_count);
  if (error < 0) {
    free_chunk(chunk);
    return error;
  }
  *out = chunk;
  return 0;
}

static int queue_bytes(struct handle *handle, const uint8_t *bytes, size_t length, const int *fds, size_t fd_count) {
  struct chunk *last = handle->last_chunk;
  if (fd_count > 0 || last == NULL || last->capacity - last->filled < length) {
    struct chunk *chunk = NULL;
    int error = new_chunk(&chunk, length, fds, fd_count);
    if (error < 0) return error;
    if (last == NULL) handle->first_chunk = chunk;
    else last->next = chunk;
    handle->last_chunk = last = chunk;
  }
  memcpy(last->bytes + last->filled, bytes, length);
  last->filled += length;
  handle->buffered += length;
  return 0;
}

// The first chunk and those behind it that have no fds of their own.
static size_t gather(const struct handle *handle, struct iovec *iov) {
  size_t count = 0;
  for (struct chunk *chunk = handle->first_chunk; chunk != NULL && count < GATHERED_CHUNKS; chunk = chunk->next) {
    if (count > 0 && chunk->fd_count > 0) break;
    iov[count++] = (struct iovec){.iov_base = chunk->bytes + chunk->sent, .iov_len = chunk->filled - chunk->sent};
  }
  return count;
}

static void drop_sent(struct handle *handle, size_t sent) {
  handle->buffered -= sent;
  while (sent > 0) {
    struct chunk *chunk = handle->first_chunk;
    size_t left = chunk->filled - chunk->sent;
    close_fds(chunk->fds, chunk->fd_count);
    chunk->fd_count = 0;
    if (sent < left) {
      chunk->sent += sent;
      return;
    }
    sent -= left;
    handle->first_chunk = chunk->next;
    if (chunk->next == NULL) handle->last_chunk = NULL;
    free_chunk(chunk);
  }
}

int send_queued(struct handle *handle) {
  while (handle->first_chunk != NULL) {
    struct iovec iov[GATHERED_CHUNKS];
    size_t count = gather(handle, iov);
    ssize_t sent = send_message(handle->fd, iov, count, handle->first_chunk->fds, handle->first_chunk->fd_count);
    if (sent == -EAGAIN) return 0;
    if (sent < 0) return (int)sent;
    drop_sent(handle, (size_t)sent);
  }
  return 0;
}

int send_bytes(struct handle *handle, const uint8_t *bytes, size_t length, const int *fds, size_t fd_count) {
  size_t done = 0;
  if (handle->first_chunk == NULL) {
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    ssize_t sent = send_message(handle->fd, &iov, 1, fds, fd_count);
    if (sent < 0 && sent != -EAGAIN) return (int)sent;
    if (sent > 0) {
      done = (size_t)sent;
      fd_count = 0;
    }
    if (done == length) return 0;
  }
  return queue_bytes(handle, bytes + done, length - done, fds, fd_count);
}
