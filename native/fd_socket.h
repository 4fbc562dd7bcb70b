// What do the files of the fd socket share? A handle on Node's own loop: a channel (bytes with the fds that belong to
// them), a listener or a connector; and the state that all handles of one environment share.
//
//   fd_socket.c       life of a handle: open, poll, call into JavaScript, close
//   fd_socket_calls.c what JavaScript can ask of a handle
//   fd_receive.c      which byte did an fd come with? Reading, with the files that fd_receive.h names
//   fd_send.c         the queue of what the kernel did not take at once, and the fds in it
//   socket_address.c  making, binding and connecting sockets; addresses; peer credentials
#ifndef FDSET_FD_SOCKET_H
#define FDSET_FD_SOCKET_H

#include "fdset.h"
#include "uv-min.h"

#include <sys/types.h>

// What one read may bring: bytes, and messages with fds.
#define BATCH_BYTES ((size_t)128 * 1024)
#define BATCH_MESSAGES 64
// SCM_MAX_FD: the kernel takes no more in one message.
#define MAX_SENT_FDS 253
// The last fds of the process are for its own needs: a peer gets none of them.
#define RESERVED_FDS 32
// Strings up to this length are sent without a copy of their own.
#define SEND_BYTES ((size_t)64 * 1024)

enum handle_kind { HANDLE_CHANNEL, HANDLE_LISTENER, HANDLE_CONNECTOR };

// The first argument of a handle's callback. The numbers are known to src/addon/fd-socket.ts.
enum socket_event {
  EVENT_DATA,        // bytes in the receive buffer, messages with fds that wait to be taken
  EVENT_END,         // the peer will send no more
  EVENT_DRAIN,       // nothing is queued any more
  EVENT_CLOSE,       // the last event: errno or 0, the call that failed
  EVENT_ACCEPT,      // fd of a new connection, owned by the callback
  EVENT_ACCEPT_STOP, // errno: accepting is paused, as there are no fds left
  EVENT_CONNECT,     // errno or 0; the handle is closing, its fd is not
};

enum socket_call { CALL_NONE, CALL_RECVMSG, CALL_SENDMSG, CALL_OUT_OF_FDS, CALL_POLL };

// A message with fds that nobody has taken. Of its fds only the first is ever wanted.
struct waiting_fd {
  int fd;        // -1: closed on arrival, because of the reserve
  int64_t start; // offset in the stream of the first byte of the message
};

struct chunk;
struct socket_env;

struct handle {
  struct socket_env *shared;
  struct handle *previous, *next, *next_in_bucket;
  enum handle_kind kind;
  int id;
  int fd; // -1 once closed
  uv_poll_t *poll;
  int polled; // the events that poll waits for
  napi_ref on_event;
  napi_async_context context;
  bool closing;
  bool paused;
  int close_errno;
  enum socket_call close_call;

  // receiving
  bool receives_fds;
  bool end_received;
  unsigned peek_slots; // how many messages the next peek asks for
  unsigned single_batches;
  bool glued;          // the last region with fds began with bytes that had none
  int late_error;      // reported by the socket before its last bytes were read
  int64_t received;    // bytes handed up so far
  struct waiting_fd *waiting;
  size_t waiting_count, waiting_capacity;

  // sending
  struct chunk *first_chunk, *last_chunk;
  size_t buffered;
  bool end_wanted, end_sent;
};

struct view;
struct chain;
struct pairs;

struct socket_env {
  napi_env env;
  uv_loop_t *loop;
  napi_async_cleanup_hook_handle hook;
  bool ending;
  struct handle *handles; // all that are open or closing
  struct handle *buckets[1024]; // the same, by the number that JavaScript knows
  int last_id;
  uint8_t *receive_buffer; // of map_batch, lent to JavaScript during a data event; owned by its ArrayBuffer
  napi_ref receive_array;
  uint8_t *scratch; // of map_batch
  // what fd_receive.h declares, in one piece of memory each
  struct view *view;
  struct chain *chain;
  struct pairs *pairs;
  uint8_t *send_buffer;
  long fd_limit;
};

// --- fd_socket.c ---

// What the first handle of an environment needs.
bool set_up_sockets(napi_env env, struct socket_env *shared);
// 0, and the handle owns its fd; or -errno, and then it is to be freed.
int open_handle(napi_env env, struct handle *handle, napi_value callback);
void free_handle(struct handle *handle);
// The open handle with this number, or NULL.
struct handle *find_handle(struct socket_env *shared, int id);
// Waits for what the handle's state asks for.
void update_poll(struct handle *handle);
// Ends the sending side once nothing is queued.
void finish_sending(struct handle *handle);
void close_if_both_ended(struct handle *handle);
// Closes at once, with all fds; the close event follows. `fail_handle` gives it a reason.
void close_handle(struct handle *handle);
void fail_handle(struct handle *handle, int error, enum socket_call call);

// --- fd_receive.c and its files ---

// BATCH_BYTES, and then a page that cannot be touched; NULL where memory is lacking.
uint8_t *map_batch(void);
void unmap_batch(uint8_t *batch);
// False where memory is lacking.
bool receive_init(struct socket_env *shared);
void receive_free(struct socket_env *shared);
// Gets a Unix socket ready for the reads below: 0 or -errno.
int receive_prepare(struct handle *handle);
// Reads at most one batch into the receive buffer. Its length, 0 at the end of the stream, or -errno: EAGAIN where
// there is nothing, EMFILE where the process is out of fds and fds of a message were lost.
ssize_t receive_batch(struct handle *handle);
// Closes the waiting fds that a message whose first byte lies before `before` has replaced.
void settle_fds(struct handle *handle, int64_t before);
enum { NO_FD = -1, FD_REFUSED = -2 };
// The same, and gives up what is left of them: an fd, NO_FD or FD_REFUSED.
int take_fd(struct handle *handle, int64_t before);
void close_waiting_fds(struct handle *handle);
// Would an fd with this number eat into the reserve?
bool is_reserved_fd(struct socket_env *shared, int fd);
// Do chained reads work on this kernel, and are they used? For tests and measurements; see chained_reads.c.
bool chained_reads(void);
void set_chained_reads(bool on);

// --- fd_send.c ---

// Sends or queues. `fds` are borrowed. 0 or -errno; after an error nothing of this was sent or queued.
int send_bytes(struct handle *handle, const uint8_t *bytes, size_t length, const int *fds, size_t fd_count);
// Sends what is queued until the kernel takes no more: 0 or -errno.
int send_queued(struct handle *handle);
void free_queue(struct handle *handle);

// --- socket_address.c ---

bool socket_address_init(napi_env env, napi_value exports);

#endif
