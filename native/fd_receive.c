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
// call. recvmmsg takes the headers from our memory one by one, each after the results of the one before are written
// (it cannot do otherwise, and chained_reads() tries it once per process): so the control buffer of one message is
// laid over the length of the last iovec of the next. That is -1, which is EINVAL, until an SCM_RIGHTS message is
// written there, whose first word is its own length, CMSG_LEN(one int) = 20. The last 20 bytes of a chained read have an
// iovec of their own for this.
//
// Where the chain broke, the region is plain up to a piece with fds at its end. Its start is found by reading into
// memory that ends one byte before the region does: a piece that does not fit is not taken (the copy faults), those
// before it are. What is left of the region is its last piece. A client that sends an fd with every second command
// makes only such regions; so as long as they come, each gets these two reads in one recvmmsg, and no chain:
//
//     queue   | a ....| B fd .......| c ....| D fd .......|
//     reads   |-------|-------------|-------|-------------|
//
// Costs, against reading blindly: per message with an fd one slot of a peeking recvmmsg (0.25 µs), and per batch one
// system call and one slot more. Bytes without fds cost one peek per batch.
//
// Of the fds of one message only the first is received. QEMU receives sixteen, gives the first to the command that
// takes it and closes the others; dropped by the kernel they cost nothing. So MSG_CTRUNC is no error as long as one fd
// came; where none did, the process is out of fds, and the connection cannot go on: an fd would be missing.
#include "fd_close.h"
#include "fd_socket.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTROL_BYTES CMSG_LEN(sizeof(int))
#define SINGLE_BATCHES 8
// Messages whose fds were refused, and which are remembered as such, while more messages with fds wait than this.
#define MAX_REFUSED 4096

// --- the fds that wait ---

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

// Takes over `fd`.
static int add_waiting(struct handle *handle, int fd, int64_t start) {
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
  if (count == 0) return;
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

// --- memory for a chain of reads ---

// One read of a chain. `control`, where the fds of the read *before* arrive, lies over the length of its last iovec.
struct link {
  struct iovec head;
  void *tail_base;
  union {
    size_t tail_length;
    unsigned char control[CMSG_SPACE(sizeof(int))];
  };
};
_Static_assert(offsetof(struct link, tail_base) == sizeof(struct iovec) &&
                   offsetof(struct link, tail_length) == sizeof(struct iovec) + offsetof(struct iovec, iov_len),
               "the tail of a link is its second iovec");

// Bytes that one peek saw: without fds, or the last piece of them has some.
struct region {
  size_t size;
  bool has_fds;
};

struct chain {
  struct iovec peek_room;
  struct mmsghdr peeks[BATCH_MESSAGES];
  struct region regions[BATCH_MESSAGES];
  size_t region_count;
  // The reads: one per region and one for the rest of the last. The control buffer of each is in the link behind it.
  struct mmsghdr reads[BATCH_MESSAGES + 1];
  struct link links[BATCH_MESSAGES + 2];
  // The reads of glued regions: for each the bytes before its last piece, up to memory that faults, and that piece.
  struct mmsghdr glued_reads[BATCH_MESSAGES];
  struct iovec glued_rooms[BATCH_MESSAGES / 2][2];
  struct iovec glued_pieces[BATCH_MESSAGES / 2];
  unsigned char glued_controls[BATCH_MESSAGES][CMSG_SPACE(sizeof(int))];
};

static void prepare_chain(struct socket_env *shared) {
  struct chain *chain = shared->chain;
  chain->peek_room = (struct iovec){.iov_base = shared->scratch, .iov_len = BATCH_BYTES};
  for (size_t i = 0; i < COUNT_OF(chain->peeks); i++) {
    chain->peeks[i].msg_hdr = (struct msghdr){.msg_iov = &chain->peek_room, .msg_iovlen = 1};
  }
  for (size_t i = 0; i < COUNT_OF(chain->reads); i++) {
    chain->reads[i].msg_hdr = (struct msghdr){.msg_iov = &chain->links[i].head,
                                              .msg_control = chain->links[i + 1].control};
  }
  for (size_t i = 0; i < COUNT_OF(chain->glued_pieces); i++) {
    chain->glued_rooms[i][1] = (struct iovec){.iov_base = shared->scratch + BATCH_BYTES, .iov_len = shared->page};
    chain->glued_reads[2 * i].msg_hdr = (struct msghdr){.msg_iov = chain->glued_rooms[i], .msg_iovlen = 2};
    chain->glued_reads[2 * i + 1].msg_hdr = (struct msghdr){.msg_iov = &chain->glued_pieces[i], .msg_iovlen = 1};
  }
  for (size_t i = 0; i < COUNT_OF(chain->glued_reads); i++) {
    chain->glued_reads[i].msg_hdr.msg_control = chain->glued_controls[i];
  }
}

bool receive_init(struct socket_env *shared) {
  shared->page = (size_t)sysconf(_SC_PAGESIZE);
  shared->chain = calloc(1, sizeof *shared->chain);
  void *scratch = mmap(NULL, BATCH_BYTES + shared->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (scratch != MAP_FAILED) shared->scratch = scratch;
  if (shared->chain == NULL || scratch == MAP_FAILED) return false;
  if (mprotect(shared->scratch + BATCH_BYTES, shared->page, PROT_NONE) < 0) return false;
  prepare_chain(shared);
  return true;
}

void receive_free(struct socket_env *shared) {
  if (shared->scratch != NULL) munmap(shared->scratch, BATCH_BYTES + shared->page);
  free(shared->chain);
}

// --- one chain of reads ---

#define BROKEN_LENGTH ((size_t)-1)

// The read number `index`: `length` bytes to `base`. All but the first need fds from the read before.
static void set_read(struct chain *chain, size_t index, uint8_t *base, size_t length) {
  struct link *link = &chain->links[index];
  struct msghdr *header = &chain->reads[index].msg_hdr;
  size_t tail = index == 0 ? 0 : CONTROL_BYTES;
  link->head = (struct iovec){.iov_base = base, .iov_len = length - tail};
  link->tail_base = base + length - tail;
  header->msg_iovlen = index == 0 ? 1 : 2;
  header->msg_controllen = CONTROL_BYTES;
  chain->links[index + 1].tail_length = BROKEN_LENGTH;
}

static bool can_follow(size_t length) { return length >= CONTROL_BYTES; }

// How many of the first `count` reads were done, or -errno.
static int run_reads(int fd, struct mmsghdr *reads, unsigned count) {
  int done;
  do {
    done = recvmmsg(fd, reads, count, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
  } while (done < 0 && errno == EINTR);
  return done < 0 ? -errno : done;
}

// Reads that break leave their EINVAL (a chain) or EFAULT (a glued region that was none) behind as the error of the
// socket. An error of the socket's own that has come since is returned, negated.
static int clear_broken(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return -errno;
  return error == EINVAL || error == EFAULT ? 0 : -error;
}

static int first_fd(struct msghdr *header) {
  for (struct cmsghdr *message = CMSG_FIRSTHDR(header); message != NULL; message = CMSG_NXTHDR(header, message)) {
    if (message->cmsg_level != SOL_SOCKET || message->cmsg_type != SCM_RIGHTS) continue;
    if (message->cmsg_len < CMSG_LEN(sizeof(int))) continue;
    int fd;
    memcpy(&fd, CMSG_DATA(message), sizeof fd);
    return fd;
  }
  return NO_FD;
}

// --- does the chain break where it must? ---

static pthread_once_t chaining_tried = PTHREAD_ONCE_INIT;
static bool chaining_works;
static bool chaining_wanted = true;

static void send_piece(int socket, size_t length, int fd) {
  uint8_t bytes[CONTROL_BYTES + 1] = {0};
  struct iovec room = {.iov_base = bytes, .iov_len = length};
  union {
    struct cmsghdr header;
    unsigned char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr header = {.msg_iov = &room, .msg_iovlen = 1};
  if (fd >= 0) {
    header.msg_control = &control;
    header.msg_controllen = sizeof control;
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  }
  (void)!sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// Three reads, of which the first brings an fd and the second none: the third must not happen.
static bool chain_breaks(int reader, int writer, struct chain *chain, uint8_t *room) {
  send_piece(writer, 1, writer);
  send_piece(writer, CONTROL_BYTES, -1);
  send_piece(writer, CONTROL_BYTES, writer);
  set_read(chain, 0, room, 1);
  set_read(chain, 1, room, CONTROL_BYTES);
  set_read(chain, 2, room, CONTROL_BYTES);
  int done = run_reads(reader, chain->reads, 3);
  for (int i = 0; i < done; i++) {
    int fd = first_fd(&chain->reads[i].msg_hdr);
    if (fd >= 0) close(fd);
  }
  return done == 2 && chain->reads[0].msg_len == 1 && chain->reads[1].msg_len == CONTROL_BYTES;
}

static void try_chaining(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return;
  struct chain *chain = calloc(1, sizeof *chain);
  if (chain != NULL) {
    uint8_t room[CONTROL_BYTES];
    for (size_t i = 0; i < 3; i++) {
      chain->reads[i].msg_hdr = (struct msghdr){.msg_iov = &chain->links[i].head,
                                                .msg_control = chain->links[i + 1].control};
    }
    chaining_works = chain_breaks(pair[0], pair[1], chain, room);
    free(chain);
  }
  close(pair[0]);
  close(pair[1]);
}

bool chained_reads(void) {
  pthread_once(&chaining_tried, try_chaining);
  return chaining_works && __atomic_load_n(&chaining_wanted, __ATOMIC_RELAXED);
}

void set_chained_reads(bool on) { __atomic_store_n(&chaining_wanted, on, __ATOMIC_RELAXED); }

// --- looking ---

int receive_prepare(struct handle *handle) {
  int domain = 0, off = 0;
  socklen_t length = sizeof domain;
  if (getsockopt(handle->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0) return -errno;
  if (domain != AF_UNIX) handle->receives_fds = false;
  if (!handle->receives_fds) return 0;
  // Other control data, asked for by whoever made this socket, would look like fds to a peek.
  setsockopt(handle->fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof off);
  setsockopt(handle->fd, SOL_SOCKET, SO_PASSSEC, &off, sizeof off);
  if (setsockopt(handle->fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof off) < 0) return -errno;
  handle->peek_slots = 1;
  return 0;
}

// A socket reports its error before its last bytes: keep it for the end of them. True: try again.
static bool keep_late_error(struct handle *handle, int error) {
  if (error != ECONNRESET || handle->late_error != 0) return false;
  handle->late_error = error;
  return true;
}

// A slot that finds nothing costs as much as a third of one that does. A peer that waits for each answer fills one: only
// now and then is a second asked for, to see whether there are more.
static unsigned next_peek_slots(struct handle *handle, unsigned filled) {
  if (filled > 1) return BATCH_MESSAGES;
  return ++handle->single_batches % SINGLE_BATCHES == 0 ? 2 : 1;
}

// Notes the regions that fit into a batch. How many bytes was looked at, or -errno.
static ssize_t peek_regions(struct handle *handle) {
  struct chain *chain = handle->shared->chain;
  int count;
  do {
    count = recvmmsg(handle->fd, chain->peeks, handle->peek_slots, MSG_PEEK | MSG_DONTWAIT, NULL);
  } while (count < 0 && (errno == EINTR || keep_late_error(handle, errno)));
  if (count < 0) return -errno;
  ssize_t seen = 0;
  bool full = false;
  chain->region_count = 0;
  for (size_t i = 0; i < (size_t)count; i++) {
    size_t size = chain->peeks[i].msg_len;
    if (size == 0) break; // the end of the stream
    seen += (ssize_t)size;
    full = full || seen > (ssize_t)BATCH_BYTES;
    if (full) continue;
    bool has_fds = (chain->peeks[i].msg_hdr.msg_flags & MSG_CTRUNC) != 0;
    chain->regions[chain->region_count++] = (struct region){.size = size, .has_fds = has_fds};
  }
  handle->peek_slots = next_peek_slots(handle, (unsigned)count);
  return seen;
}

// --- reading ---

struct batch {
  struct handle *handle;
  size_t length; // bytes read so far
  size_t plain;  // bytes at the head of the queue that have no fds, not read yet
};

static int64_t batch_offset(const struct batch *batch) { return batch->handle->received + (int64_t)batch->length; }

// Accounts for a read of `length` bytes whose last byte is the only one that may have brought fds. 1 if it did, else 0
// or -errno.
static int note_read(struct batch *batch, struct msghdr *header, size_t length) {
  batch->length += length;
  int fd = first_fd(header);
  if (fd >= 0) {
    int error = add_waiting(batch->handle, fd, batch_offset(batch) - 1);
    return error < 0 ? error : 1;
  }
  return (header->msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : 0;
}

// One read of at most `length` bytes; with `guarded` a piece that does not fit is left in the queue, and EFAULT says
// that already the first did not. fds that come belong to the first byte. Bytes read or -errno.
static ssize_t read_once(struct batch *batch, size_t length, bool guarded) {
  struct handle *handle = batch->handle;
  struct socket_env *shared = handle->shared;
  uint8_t *target = shared->receive_buffer + batch->length;
  uint8_t *room = guarded ? shared->scratch + BATCH_BYTES - length : target;
  struct iovec iov = {.iov_base = room, .iov_len = length + (guarded ? shared->page : 0)};
  union {
    struct cmsghdr header;
    unsigned char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CONTROL_BYTES};
  ssize_t count;
  do {
    count = recvmsg(handle->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return -errno;
  int fd = first_fd(&header);
  if (fd >= 0) {
    int error = add_waiting(handle, fd, batch_offset(batch));
    if (error < 0) return error;
  } else if ((header.msg_flags & MSG_CTRUNC) != 0) {
    return -EMFILE;
  }
  if (guarded) memcpy(target, room, (size_t)count);
  batch->length += (size_t)count;
  return count;
}

// Reads `length` bytes whose last piece has fds, wherever it begins. 0, or -errno.
static int read_glued(struct batch *batch, size_t length) {
  while (length > 0) {
    // At least one byte of the piece with the fds does not fit.
    ssize_t count = length == 1 ? -EFAULT : read_once(batch, length - 1, true);
    if (count == -EFAULT) count = read_once(batch, length, false); // it is the only one left
    if (count < 0) return (int)count;
    if (count == 0) return 0;
    length -= (size_t)count;
  }
  return 0;
}

// Prepares the reads of the regions from `next` on that have fds: two for each. Their number.
static unsigned plan_glued(struct batch *batch, size_t next) {
  struct chain *chain = batch->handle->shared->chain;
  size_t offset = batch->length;
  unsigned count = 0;
  for (; next < chain->region_count && chain->regions[next].has_fds && count < COUNT_OF(chain->glued_reads); next++) {
    size_t size = chain->regions[next].size;
    chain->glued_rooms[count / 2][0] =
        (struct iovec){.iov_base = batch->handle->shared->receive_buffer + offset, .iov_len = size - 1};
    chain->glued_pieces[count / 2] = (struct iovec){.iov_base = batch->handle->shared->scratch + offset, .iov_len = size};
    chain->glued_reads[count++].msg_hdr.msg_controllen = CONTROL_BYTES;
    chain->glued_reads[count++].msg_hdr.msg_controllen = CONTROL_BYTES;
    offset += size;
  }
  return count;
}

// Accounts for the first `done` of the planned reads: 1 where each region was what it was taken for, 0 where the queue
// is not as it was seen, or -errno.
static int note_glued(struct batch *batch, unsigned done, size_t *next) {
  struct socket_env *shared = batch->handle->shared;
  struct chain *chain = shared->chain;
  for (unsigned i = 0; i < done; i++) {
    struct mmsghdr *read = &chain->glued_reads[i];
    bool piece = i % 2 == 1;
    if (piece) memcpy(shared->receive_buffer + batch->length, chain->glued_pieces[i / 2].iov_base, read->msg_len);
    int64_t start = batch_offset(batch);
    batch->length += read->msg_len;
    int fd = first_fd(&read->msg_hdr);
    int error = fd >= 0 ? add_waiting(batch->handle, fd, start) : 0;
    if (error < 0) return error;
    if (fd < 0 && (read->msg_hdr.msg_flags & MSG_CTRUNC) != 0) return -EMFILE;
    if (!piece) continue;
    if (read->msg_len + chain->glued_reads[i - 1].msg_len != chain->regions[*next].size) return 0;
    (*next)++;
  }
  return 1;
}

// Reads regions as glued ones, from `next` on, as long as they are. 1: go on; 0: the queue is not as it was seen; -errno.
static int read_glued_regions(struct batch *batch, size_t *next) {
  struct handle *handle = batch->handle;
  struct chain *chain = handle->shared->chain;
  unsigned count = plan_glued(batch, *next);
  if (count == 0) return 1;
  int done = run_reads(handle->fd, chain->glued_reads, count);
  if (done == -EFAULT) done = 0;
  else if (done >= 0 && (unsigned)done < count) {
    int error = clear_broken(handle->fd);
    if (error < 0 && !keep_late_error(handle, -error)) return error;
  }
  if (done < 0) return keep_late_error(handle, -done) ? 1 : done;
  handle->glued = (unsigned)done == count;
  int result = note_glued(batch, (unsigned)done, next);
  if (result <= 0 || done % 2 == 0) return result;
  // The bytes before a last piece were read, and it was not: it is at the head of the queue.
  size_t rest = chain->regions[(*next)++].size - chain->glued_reads[done - 1].msg_len;
  ssize_t length = read_once(batch, rest, false);
  return length < 0 ? (int)length : (size_t)length == rest;
}

// Puts the reads for the regions from `next` on into the chain, as far as they can be chained. Their number, at least 1.
static unsigned plan_reads(struct batch *batch, size_t next, size_t limit) {
  struct chain *chain = batch->handle->shared->chain;
  uint8_t *base = batch->handle->shared->receive_buffer + batch->length;
  size_t plain = batch->plain;
  unsigned count = 0;
  for (; next < chain->region_count && count < limit; next++) {
    const struct region *region = &chain->regions[next];
    if (!region->has_fds) {
      plain += region->size;
      continue;
    }
    size_t length = plain + 1;
    if (count > 0 && !can_follow(length)) return count;
    set_read(chain, count++, base, length);
    base += length;
    plain = region->size - 1;
  }
  if (next < chain->region_count || plain == 0 || count == limit || (count > 0 && !can_follow(plain))) return count;
  set_read(chain, count++, base, plain);
  return count;
}

static size_t read_length(const struct chain *chain, size_t index) {
  const struct link *link = &chain->links[index];
  return link->head.iov_len + (index == 0 ? 0 : CONTROL_BYTES);
}

// Accounts for the reads that were done, the first of which began with region `next`. 1: go on; 0: the queue is not as
// it was seen; -errno.
static int note_reads(struct batch *batch, unsigned done, size_t *next) {
  struct chain *chain = batch->handle->shared->chain;
  for (unsigned i = 0; i < done; i++) {
    size_t length = chain->reads[i].msg_len;
    size_t planned = read_length(chain, i);
    int brought = note_read(batch, &chain->reads[i].msg_hdr, length);
    if (brought < 0) return brought;
    if (length != planned) return 0;
    while (*next < chain->region_count && !chain->regions[*next].has_fds) batch->plain += chain->regions[(*next)++].size;
    if (*next == chain->region_count) { // the rest of the last region
      batch->plain = 0;
      continue;
    }
    size_t rest = chain->regions[(*next)++].size - 1;
    batch->plain = brought ? rest : 0;
    batch->handle->glued = !brought;
    int error = brought ? 0 : read_glued(batch, rest);
    if (error < 0) return error;
  }
  return 1;
}

static int read_regions(struct batch *batch) {
  struct handle *handle = batch->handle;
  struct chain *chain = handle->shared->chain;
  size_t limit = chained_reads() ? COUNT_OF(chain->reads) : 1;
  size_t next = 0;
  while (next < chain->region_count || batch->plain > 0) {
    if (handle->glued && batch->plain == 0 && next < chain->region_count && chain->regions[next].has_fds) {
      int result = read_glued_regions(batch, &next);
      if (result <= 0) return result;
      continue;
    }
    unsigned count = plan_reads(batch, next, limit);
    int done = run_reads(handle->fd, chain->reads, count);
    if (done < 0) {
      if (keep_late_error(handle, -done)) continue;
      return done;
    }
    if ((unsigned)done < count) {
      int error = clear_broken(handle->fd);
      if (error < 0 && !keep_late_error(handle, -error)) return error;
    }
    int result = note_reads(batch, (unsigned)done, &next);
    if (result <= 0) return result;
  }
  return 0;
}

// Nothing to see although there is something: a byte sent out of band, which a peek skips and a read drops. Without
// this the loop would spin.
static ssize_t drop_invisible(struct batch *batch) {
  ssize_t count = read_once(batch, 0, false);
  return count == 0 ? -EAGAIN : count;
}

static ssize_t receive_exactly(struct handle *handle) {
  struct batch batch = {.handle = handle};
  ssize_t seen = peek_regions(handle);
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
