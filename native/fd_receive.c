// Which byte did an fd come with? Exactly that is found out here, as QEMU does by reading byte by byte, but in batches.
//
// The kernel glues. A Unix stream socket holds the peer's sends as a queue of pieces. A read runs over any number of
// pieces without fds, and ends behind the first piece that has some: "AAAA", then "BBBBBB" with an fd, arrive as one
// read of ten bytes with one fd, and nothing in the result says whether it came with the first byte or the fifth. For an
// add-fd without an fd, sent right before an add-fd with one, that decides who gets the file.
//
// So we look before we read. MSG_PEEK without room for control data installs no fd; MSG_CTRUNC then says that the
// bytes seen end with a piece that has fds ("a region"), and with SO_PEEK_OFF one recvmmsg looks at a whole batch of
// regions. (Shorter peeks cannot find where that last piece begins: a peek whose room is used up goes on through the
// queue, and reports fds that lie behind what it returned.) What is still open is whether the last piece of a region is
// the only one. For that one byte is enough: read alone, the first byte of a region brings fds if and only if it is the
// first byte of the piece that has them. The rest of a region that begins so is plain by then, and known to its end. It
// can be read together with the first byte of the next region, so that n regions take n + 1 reads:
//
//     queue   | A fd ......... | B fd ......... | C fd ......... |
//     reads   |-|----------------|----------------|--------------|
//
// All of them go into one recvmmsg, but each after the first is right only if the one before did bring fds; if not, the
// next read would run into the fds that are to be located. The chain must break there, in the middle of the system
// call: chained_reads.c tells how it does.
//
// Where it broke, the region is plain up to a piece with fds at its end. Where that begins is found by reading into
// memory that ends one byte before the region does: a piece that does not fit is not taken (the copy faults), those
// before it are. Then the last piece is read. A client that sends an fd with every second command makes only such
// regions; as long as they come, these pairs of reads go into one recvmmsg: glued_reads.c.
//
//     queue   | a ....| B fd .......| c ....| D fd .......|
//     reads   |-------|-------------|-------|-------------|
//
// Costs, against reading blindly: per message with an fd one slot of a peeking recvmmsg (0.25 µs), per batch one system
// call and one slot more, and per glued region a read and a page fault (0.7 µs). Bytes without fds cost one peek per
// batch. docs/decisions/socket.md has figures.
//
// Of the fds of one message only the first is received. QEMU receives sixteen, gives the first to the command that
// takes it and closes the others; dropped by the kernel they cost nothing. So MSG_CTRUNC is no error as long as one fd
// came; where none did, the process is out of fds, and the connection cannot go on: an fd would be missing.
#include "fd_close.h"
#include "fd_receive.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// A peer that waits for each answer is looked at for more than one message in every so many batches.
#define SINGLE_BATCHES 8

// --- memory ---

size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

uint8_t *map_batch(void) {
  size_t size = BATCH_BYTES + page_size();
  uint8_t *batch = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (batch == MAP_FAILED) return NULL;
  if (mprotect(batch + BATCH_BYTES, page_size(), PROT_NONE) == 0) return batch;
  munmap(batch, size);
  return NULL;
}

void unmap_batch(uint8_t *batch) {
  if (batch != NULL) munmap(batch, BATCH_BYTES + page_size());
}

static struct view *new_view(uint8_t *scratch) {
  struct view *view = calloc(1, sizeof *view);
  if (view == NULL) return NULL;
  view->peek_room = (struct iovec){.iov_base = scratch, .iov_len = BATCH_BYTES};
  for (size_t i = 0; i < COUNT_OF(view->peeks); i++) {
    view->peeks[i].msg_hdr = (struct msghdr){.msg_iov = &view->peek_room, .msg_iovlen = 1};
  }
  return view;
}

bool receive_init(struct socket_env *shared) {
  shared->scratch = map_batch();
  if (shared->scratch == NULL) return false;
  shared->view = new_view(shared->scratch);
  shared->chain = new_chain();
  shared->pairs = new_pairs(shared->scratch);
  return shared->view != NULL && shared->chain != NULL && shared->pairs != NULL;
}

void receive_free(struct socket_env *shared) {
  unmap_batch(shared->scratch);
  free(shared->view);
  free(shared->chain);
  free(shared->pairs);
}

#define PASS_PIDFD 76 // SO_PASSPIDFD of Linux 6.5, unknown to older headers

int receive_prepare(struct handle *handle) {
  int off = 0;
  if (!handle->receives_fds) return 0;
  // Other control data, asked for by whoever made this socket, would look like fds to a peek.
  setsockopt(handle->fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof off);
  setsockopt(handle->fd, SOL_SOCKET, SO_PASSSEC, &off, sizeof off);
  setsockopt(handle->fd, SOL_SOCKET, PASS_PIDFD, &off, sizeof off);
  if (setsockopt(handle->fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof off) < 0) return -errno;
  handle->peek_slots = 1;
  return 0;
}

// --- what the ways to read share ---

int64_t batch_offset(const struct batch *batch) { return batch->handle->received + (int64_t)batch->length; }

int received_fd(struct msghdr *header) {
  for (struct cmsghdr *message = CMSG_FIRSTHDR(header); message != NULL; message = CMSG_NXTHDR(header, message)) {
    if (message->cmsg_level != SOL_SOCKET || message->cmsg_type != SCM_RIGHTS) continue;
    if (message->cmsg_len < CMSG_LEN(sizeof(int))) continue;
    int fd;
    memcpy(&fd, CMSG_DATA(message), sizeof fd);
    return fd;
  }
  return NO_FD;
}

int note_fd(struct batch *batch, struct msghdr *header, int64_t start) {
  int fd = received_fd(header);
  if (fd < 0) return (header->msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : 0;
  int error = add_waiting_fd(batch->handle, fd, start);
  return error < 0 ? error : 1;
}

// A socket reports its error before its last bytes: keep it for the end of them. True: try again.
static bool keep_late_error(struct handle *handle, int error) {
  if (error != ECONNRESET || handle->late_error != 0) return false;
  handle->late_error = error;
  return true;
}

// Reads that break off leave their error behind as that of the socket. One of the socket's own may have come since.
static void clear_broken(struct handle *handle) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(handle->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0) keep_late_error(handle, error);
}

int run_reads(struct batch *batch, struct mmsghdr *reads, unsigned count) {
  struct handle *handle = batch->handle;
  int done;
  do {
    done = recvmmsg(handle->fd, reads, count, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
  } while (done < 0 && (errno == EINTR || keep_late_error(handle, errno)));
  if (done < 0) return -errno;
  if ((unsigned)done < count) clear_broken(handle);
  return done;
}

int end_reads(struct mmsghdr *reads, int noted, int done, int result) {
  if (noted >= done) return result;
  for (int i = noted; i < done; i++) {
    int fd = received_fd(&reads[i].msg_hdr);
    if (fd >= 0) close_unattended(fd);
  }
  return result < 0 ? result : -EIO;
}

// --- looking ---

// A slot that finds nothing costs as much as a third of one that does. A peer that waits for each answer fills one: only
// now and then is a second asked for, to see whether there are more.
static unsigned next_peek_slots(struct handle *handle, unsigned filled) {
  if (filled > 1) return BATCH_MESSAGES;
  return ++handle->single_batches % SINGLE_BATCHES == 0 ? 2 : 1;
}

// Notes the regions that fit into a batch. How many bytes were looked at, or -errno.
static ssize_t peek_regions(struct handle *handle, struct view *view) {
  int count;
  do {
    count = recvmmsg(handle->fd, view->peeks, handle->peek_slots, MSG_PEEK | MSG_DONTWAIT, NULL);
  } while (count < 0 && (errno == EINTR || keep_late_error(handle, errno)));
  if (count < 0) return -errno;
  ssize_t seen = 0;
  bool full = false;
  view->region_count = 0;
  for (size_t i = 0; i < (size_t)count; i++) {
    size_t size = view->peeks[i].msg_len;
    if (size == 0) break; // the end of the stream
    seen += (ssize_t)size;
    full = full || seen > (ssize_t)BATCH_BYTES;
    if (full) continue;
    bool has_fds = (view->peeks[i].msg_hdr.msg_flags & MSG_CTRUNC) != 0;
    view->regions[view->region_count++] = (struct region){.size = size, .has_fds = has_fds};
  }
  handle->peek_slots = next_peek_slots(handle, (unsigned)count);
  return seen;
}

// --- one batch ---

static int read_regions(struct batch *batch) {
  int result = 1;
  while (result > 0 && (batch->next < batch->view->region_count || batch->plain > 0)) {
    result = can_read_pairs(batch) ? read_pairs(batch) : read_chain(batch);
  }
  return result;
}

// Nothing to see although there is something: a byte sent out of band, which a peek skips and a read drops. Without
// this the loop would spin.
static ssize_t drop_invisible(struct batch *batch) {
  ssize_t count = read_piece(batch, 0);
  return count == 0 ? -EAGAIN : count;
}

static ssize_t receive_exactly(struct handle *handle) {
  struct batch batch = {.handle = handle, .view = handle->shared->view};
  ssize_t seen = peek_regions(handle, batch.view);
  if (seen == -EAGAIN) return drop_invisible(&batch);
  if (seen <= 0) return seen;
  int error = read_regions(&batch);
  if ((ssize_t)batch.length != seen) {
    int off = 0;
    setsockopt(handle->fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof off);
  }
  if (error < 0 && error != -EAGAIN) return error;
  return batch.length == 0 ? -EAGAIN : (ssize_t)batch.length;
}

static ssize_t receive_plainly(struct handle *handle) {
  ssize_t count;
  do {
    count = recv(handle->fd, handle->shared->receive_buffer, BATCH_BYTES, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

ssize_t receive_batch(struct handle *handle) {
  ssize_t count = handle->receives_fds ? receive_exactly(handle) : receive_plainly(handle);
  if (count > 0) handle->received += count;
  if (count == 0 && handle->late_error != 0) return -handle->late_error;
  return count;
}
