// What do the files of receiving share? One batch: what a peek saw, and what was read of it so far.
//
//   fd_receive.c     which byte did an fd come with? The whole of the answer is at its top; looking, and one batch
//   chained_reads.c  regions that begin with their fds: n + 1 reads in one system call
//   glued_reads.c    regions whose fds come later: up to memory that cannot be written
//   waiting_fds.c    who gets an fd that has come?
#ifndef FDSET_FD_RECEIVE_H
#define FDSET_FD_RECEIVE_H

#include "fd_socket.h"

#include <sys/socket.h>

// Room for the control data of one fd.
#define CONTROL_BYTES CMSG_LEN(sizeof(int))

// Bytes that one slot of a peek saw: without fds, or the last piece of them has some.
struct region {
  size_t size;
  bool has_fds;
};

// What the peek saw, for every batch anew.
struct view {
  struct mmsghdr peeks[BATCH_MESSAGES];
  struct iovec peek_room;
  struct region regions[BATCH_MESSAGES];
  size_t region_count;
};

struct batch {
  struct handle *handle;
  struct view *view;
  size_t next;   // the first region that is not read yet
  size_t plain;  // bytes in front of it, not read either, that are known to have no fds
  size_t length; // bytes in the receive buffer
};

// The offset in the stream of the next byte to be read.
int64_t batch_offset(const struct batch *batch);

// The size of the page behind a map_batch.
size_t page_size(void);

// The first fd that a message has brought, or NO_FD.
int received_fd(struct msghdr *header);

// Keeps the fd that a read has brought with the byte at `start`: 1, 0 where it brought none, or -errno: EMFILE where one
// is lost.
int note_fd(struct batch *batch, struct msghdr *header, int64_t start);

// How many of the first `count` reads were done, or -errno.
int run_reads(struct batch *batch, struct mmsghdr *reads, unsigned count);

// The result of `done` reads of which only the first `noted` are accounted for. Where there are more the connection
// cannot go on: their fds are closed, their bytes lost.
int end_reads(struct mmsghdr *reads, int noted, int done, int result);

// --- ways to read on; 1: go on; 0: the queue is not as it was seen; -errno ---

// Regions from `next` on that begin with their fds; one that does not, is read as well and ends it.
int read_chain(struct batch *batch);

// Regions from `next` on that do not; one that does, ends it. False where the next region is not one for this.
bool can_read_pairs(const struct batch *batch);
int read_pairs(struct batch *batch);

// `length` bytes at the head of the queue whose last piece has fds, wherever it begins.
int read_unknown(struct batch *batch, size_t length);

// One read of at most `length` bytes, whose fds came with its first byte: bytes or -errno.
ssize_t read_piece(struct batch *batch, size_t length);

// --- waiting_fds.c ---

// Takes over an fd that came with the byte at `start`: 0 or -errno.
int add_waiting_fd(struct handle *handle, int fd, int64_t start);

// --- memory of each way, per environment ---

struct chain *new_chain(void);
struct pairs *new_pairs(uint8_t *scratch);

#endif
