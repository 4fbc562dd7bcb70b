// How is a region read whose fds do not come with its first byte? Up to memory that cannot be written: see the top of
// fd_receive.c.
//
// The room for a read ends one byte before the region does, and behind it lies a page that faults. Pieces are copied one
// by one: one that does not fit is left in the queue with its fds, and the read returns those before it, or EFAULT where
// there are none. The next read takes the last piece.
//
// A client that sends an fd with every second command makes only such regions. They are read in pairs, many in one
// recvmmsg, which ends by itself at a region that begins with its fds (EFAULT).
#include "fd_receive.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS (BATCH_MESSAGES / 2)

// For each region a read of what comes before its last piece, and one of that piece.
struct pairs {
  struct mmsghdr reads[2 * PAIRS];
  struct iovec rooms[PAIRS][2];
  struct iovec pieces[PAIRS];
  _Alignas(struct cmsghdr) unsigned char controls[2 * PAIRS][CMSG_SPACE(sizeof(int))];
};

struct pairs *new_pairs(uint8_t *scratch) {
  struct pairs *pairs = calloc(1, sizeof *pairs);
  if (pairs == NULL) return NULL;
  for (size_t i = 0; i < PAIRS; i++) {
    pairs->rooms[i][1] = (struct iovec){.iov_base = scratch + BATCH_BYTES, .iov_len = page_size()};
    pairs->reads[2 * i].msg_hdr = (struct msghdr){.msg_iov = pairs->rooms[i], .msg_iovlen = 2};
    pairs->reads[2 * i + 1].msg_hdr = (struct msghdr){.msg_iov = &pairs->pieces[i], .msg_iovlen = 1};
  }
  for (size_t i = 0; i < COUNT_OF(pairs->reads); i++) pairs->reads[i].msg_hdr.msg_control = pairs->controls[i];
  return pairs;
}

// --- one read ---

static ssize_t read_into(struct batch *batch, struct iovec *rooms, size_t room_count) {
  union {
    struct cmsghdr header;
    unsigned char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr header = {
      .msg_iov = rooms, .msg_iovlen = room_count, .msg_control = &control, .msg_controllen = CONTROL_BYTES};
  ssize_t count;
  do {
    count = recvmsg(batch->handle->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return -errno;
  int brought = note_fd(batch, &header, batch_offset(batch));
  if (brought < 0) return brought;
  batch->length += (size_t)count;
  return count;
}

ssize_t read_piece(struct batch *batch, size_t length) {
  struct iovec room = {.iov_base = batch->handle->shared->receive_buffer + batch->length, .iov_len = length};
  return read_into(batch, &room, 1);
}

// Whole pieces that have no more than `length` bytes together; EFAULT where the first has more.
static ssize_t read_whole_pieces(struct batch *batch, size_t length) {
  struct socket_env *shared = batch->handle->shared;
  struct iovec rooms[2] = {
      {.iov_base = shared->receive_buffer + batch->length, .iov_len = length},
      {.iov_base = shared->scratch + BATCH_BYTES, .iov_len = page_size()},
  };
  return read_into(batch, rooms, 2);
}

int read_unknown(struct batch *batch, size_t length) {
  while (length > 0) {
    ssize_t count = length == 1 ? -EFAULT : read_whole_pieces(batch, length - 1);
    if (count == -EFAULT) count = read_piece(batch, length); // nothing is left but the last piece
    if (count <= 0) return (int)count;
    length -= (size_t)count;
  }
  return 1;
}

// --- pairs of reads ---

// Where the room of the peek was used up, the last piece may go on behind the region, or not have been seen at all.
static bool is_for_pairs(const struct region *region) { return region->has_fds && region->size < BATCH_BYTES; }

bool can_read_pairs(const struct batch *batch) {
  return batch->handle->glued && batch->plain == 0 && batch->next < batch->view->region_count &&
         is_for_pairs(&batch->view->regions[batch->next]);
}

static unsigned plan_pairs(const struct batch *batch, struct pairs *pairs) {
  const struct view *view = batch->view;
  const struct socket_env *shared = batch->handle->shared;
  size_t offset = batch->length;
  unsigned count = 0;
  for (size_t next = batch->next; next < view->region_count && count < PAIRS; next++) {
    if (!is_for_pairs(&view->regions[next])) break;
    size_t size = view->regions[next].size;
    pairs->rooms[count][0] = (struct iovec){.iov_base = shared->receive_buffer + offset, .iov_len = size - 1};
    // How many bytes come before the piece is not known yet: it is put in its place later.
    pairs->pieces[count] = (struct iovec){.iov_base = shared->scratch + offset, .iov_len = size};
    pairs->reads[2 * count].msg_hdr.msg_controllen = CONTROL_BYTES;
    pairs->reads[2 * count + 1].msg_hdr.msg_controllen = CONTROL_BYTES;
    offset += size;
    count++;
  }
  return 2 * count;
}

// What came before the last piece. `more`: the read of that piece was done, too.
static int note_before(struct batch *batch, struct mmsghdr *read, bool more) {
  int brought = note_fd(batch, &read->msg_hdr, batch_offset(batch));
  if (brought < 0) return brought;
  batch->length += read->msg_len;
  if (more) return 1;
  return read_unknown(batch, batch->view->regions[batch->next++].size - read->msg_len);
}

static int note_piece(struct batch *batch, struct mmsghdr *read, size_t before) {
  const struct region *region = &batch->view->regions[batch->next++];
  int brought = note_fd(batch, &read->msg_hdr, batch_offset(batch));
  if (brought < 0) return brought;
  // The peer sends bytes out of band, which a peek and a read skip differently, or somebody else reads this socket: there
  // may not even be room for it.
  if (before + read->msg_len != region->size) return -EIO;
  memcpy(batch->handle->shared->receive_buffer + batch->length, read->msg_hdr.msg_iov->iov_base, read->msg_len);
  batch->length += read->msg_len;
  return 1;
}

int read_pairs(struct batch *batch) {
  struct pairs *pairs = batch->handle->shared->pairs;
  struct mmsghdr *reads = pairs->reads;
  unsigned count = plan_pairs(batch, pairs);
  int done = run_reads(batch, reads, count);
  if (done == -EFAULT) done = 0; // already the first begins with its fds
  batch->handle->glued = done == (int)count;
  int result = done < 0 ? done : 1, noted = 0;
  for (; noted < done && result > 0; noted++) {
    if (noted % 2 == 0) result = note_before(batch, &reads[noted], noted + 1 < done);
    else result = note_piece(batch, &reads[noted], reads[noted - 1].msg_len);
  }
  return end_reads(reads, noted, done, result);
}
