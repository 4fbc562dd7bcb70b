// How are many regions read at once, if each must begin with its fds? In a chain that breaks where one does not: see the
// top of fd_receive.c.
//
// recvmmsg takes each header from our memory after it has written the results of the one before. So the control buffer
// of one read is laid over the length of the last iovec of the next. That is -1, which is EINVAL, until an SCM_RIGHTS
// message is written there, whose first word is its own length, CMSG_LEN(one int) = 20. The last 20 bytes of a chained
// read have an iovec of their own for this; a read that is shorter begins a chain of its own.
//
// A kernel that took all headers first would not break the chain. That is tried once per process, and there reads are
// then done one by one.
#include "fd_receive.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The length of an iovec that fails.
#define BROKEN_LENGTH ((size_t)-1)

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

// The reads: one per region and one for the rest of the last. The control buffer of each is in the link behind it.
struct chain {
  struct mmsghdr reads[BATCH_MESSAGES + 1];
  struct link links[BATCH_MESSAGES + 2];
};

struct chain *new_chain(void) {
  struct chain *chain = calloc(1, sizeof *chain);
  if (chain == NULL) return NULL;
  for (size_t i = 0; i < COUNT_OF(chain->reads); i++) {
    chain->reads[i].msg_hdr =
        (struct msghdr){.msg_iov = &chain->links[i].head, .msg_control = chain->links[i + 1].control};
  }
  return chain;
}

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

static size_t planned_length(const struct chain *chain, size_t index) {
  return chain->links[index].head.iov_len + (index == 0 ? 0 : CONTROL_BYTES);
}

static bool can_follow(size_t index, size_t length) { return index == 0 || length >= CONTROL_BYTES; }

// --- does the chain break where it must? ---

static pthread_once_t chaining_tried = PTHREAD_ONCE_INIT;
static bool chaining_works;
static bool chaining_wanted = true;

static void send_piece(int socket, size_t length, int fd) {
  uint8_t bytes[CONTROL_BYTES] = {0};
  struct iovec room = {.iov_base = bytes, .iov_len = length};
  union {
    struct cmsghdr header;
    unsigned char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr header = {.msg_iov = &room, .msg_iovlen = 1};
  if (fd >= 0) {
    header.msg_control = &control;
    header.msg_controllen = sizeof control;
    control.header = (struct cmsghdr){.cmsg_len = CONTROL_BYTES, .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  }
  (void)!sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// Three reads, of which the first brings an fd and the second none: the third must not happen.
static bool chain_breaks(int reader, int writer, struct chain *chain) {
  uint8_t room[CONTROL_BYTES];
  send_piece(writer, 1, writer);
  send_piece(writer, CONTROL_BYTES, -1);
  send_piece(writer, CONTROL_BYTES, writer);
  set_read(chain, 0, room, 1);
  set_read(chain, 1, room, CONTROL_BYTES);
  set_read(chain, 2, room, CONTROL_BYTES);
  int done = recvmmsg(reader, chain->reads, 3, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
  for (int i = 0; i < done; i++) {
    int fd = received_fd(&chain->reads[i].msg_hdr);
    if (fd >= 0) close(fd);
  }
  return done == 2 && chain->reads[0].msg_len == 1 && chain->reads[1].msg_len == CONTROL_BYTES;
}

static void try_chaining(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return;
  struct chain *chain = new_chain();
  if (chain != NULL) chaining_works = chain_breaks(pair[0], pair[1], chain);
  free(chain);
  close(pair[0]);
  close(pair[1]);
}

bool chained_reads(void) {
  pthread_once(&chaining_tried, try_chaining);
  return chaining_works && __atomic_load_n(&chaining_wanted, __ATOMIC_RELAXED);
}

void set_chained_reads(bool on) { __atomic_store_n(&chaining_wanted, on, __ATOMIC_RELAXED); }

// --- reading ---

// Puts the reads for the next regions into the chain, as far as they can be chained. Their number, at least 1.
static unsigned plan_reads(const struct batch *batch, struct chain *chain) {
  size_t limit = chained_reads() ? COUNT_OF(chain->reads) : 1;
  uint8_t *base = batch->handle->shared->receive_buffer + batch->length;
  size_t plain = batch->plain;
  unsigned count = 0;
  for (size_t next = batch->next; next < batch->view->region_count; next++) {
    const struct region *region = &batch->view->regions[next];
    if (!region->has_fds) {
      plain += region->size;
      continue;
    }
    size_t length = plain + 1;
    if (count == limit || !can_follow(count, length)) return count;
    set_read(chain, count++, base, length);
    base += length;
    plain = region->size - 1;
  }
  if (plain > 0 && count < limit && can_follow(count, plain)) set_read(chain, count++, base, plain);
  return count;
}

// The read of all bytes in front of a region, and its first byte, which either brought its fds or did not.
static int note_region(struct batch *batch, int brought) {
  size_t rest = batch->view->regions[batch->next++].size - 1;
  batch->handle->glued = brought == 0;
  batch->plain = brought ? rest : 0;
  return brought ? 1 : read_unknown(batch, rest);
}

static int note_read(struct batch *batch, struct mmsghdr *read, size_t planned) {
  batch->length += read->msg_len;
  // Only the last byte can have brought fds: those before it are known to have none.
  int brought = note_fd(batch, &read->msg_hdr, batch_offset(batch) - 1);
  if (brought < 0) return brought;
  if (read->msg_len != planned) return 0;
  const struct view *view = batch->view;
  while (batch->next < view->region_count && !view->regions[batch->next].has_fds) {
    batch->plain += view->regions[batch->next++].size;
  }
  if (batch->next < view->region_count) return note_region(batch, brought);
  batch->plain = 0; // it was the rest of the last region
  return 1;
}

int read_chain(struct batch *batch) {
  struct chain *chain = batch->handle->shared->chain;
  unsigned count = plan_reads(batch, chain);
  int done = run_reads(batch, chain->reads, count);
  int result = done < 0 ? done : 1, noted = 0;
  for (; noted < done && result > 0; noted++) {
    result = note_read(batch, &chain->reads[noted], planned_length(chain, (size_t)noted));
  }
  return end_reads(chain->reads, noted, done, result);
}
