/*
 * How many NBD requests a second does a server answer, and are the answers right? The load for bench/nbd.ts: one thread,
 * any number of connections to a Unix socket, structured replies where the server has them.
 *
 *   nbd-load SOCKET EXPORT read|write|mixed|flush SIZE DEPTH CONNECTIONS SECONDS
 *
 * Random offsets, multiples of SIZE (bytes). `mixed` is seven reads to three writes. The image holds at each multiple of
 * 8 the number of that word and its complement, 32 bits each, little endian; writes write just that, and every byte that
 * is read is compared. It prints "REQUESTS SECONDS" and exits 0; a wrong byte, an error reply, or a connection that ends
 * exits 1.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
  MAX_DEPTH = 256,
  MAX_CONNECTIONS = 1024,
  MAX_SIZE = 32 << 20,
  RECEIVE_BYTES = 1 << 20,
  REQUEST_BYTES = 28,
  CMD_READ = 0,
  CMD_WRITE = 1,
  CMD_DISC = 2,
  CMD_FLUSH = 3,
  REPLY_NONE = 0,
  REPLY_OFFSET_DATA = 1,
  REPLY_OFFSET_HOLE = 2,
};
static const uint32_t REQUEST_MAGIC = 0x25609513, SIMPLE_MAGIC = 0x67446698, STRUCTURED_MAGIC = 0x668e33ef;
static const uint64_t OPTION_MAGIC = 0x49484156454F5054, OPTION_REPLY_MAGIC = 0x3e889045565a9;
enum { OPT_GO = 7, OPT_STRUCTURED_REPLY = 8, REP_ACK = 1, REP_INFO = 3, INFO_EXPORT = 0 };

/* A request on the way; its cookie is its place in the connection's table. */
struct request {
  uint64_t offset;
  uint32_t missing; /* bytes of a read that have not come */
  uint16_t type;
};

struct connection {
  int fd;
  int structured;
  struct request requests[MAX_DEPTH];
  unsigned idle[MAX_DEPTH], idle_count;
  /* what comes: a header, or the rest of a chunk of data */
  uint64_t data_offset;
  uint32_t data_left;
  unsigned data_cookie;
  int data_done;
  uint8_t *in;
  size_t in_used;
  /* what is still to be sent */
  uint8_t *out;
  size_t out_used, out_sent;
  int polled_out;
};

static uint64_t image_size;
static uint32_t size;
static unsigned depth;
static const char *operation;
static unsigned long answered;
static int stopping;

static void die(const char *what) {
  fprintf(stderr, "nbd-load: %s\n", what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t next_random(void) {
  static uint64_t state = 0x9e3779b97f4a7c15;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

/* --- the contents of the image --- */

static uint64_t word_at(uint64_t offset) {
  uint32_t number = (uint32_t)(offset / 8);
  return htole64((uint64_t)number | (uint64_t)~number << 32);
}

static void fill(uint8_t *to, uint64_t offset, size_t length) {
  for (size_t i = 0; i < length; i += 8) {
    uint64_t word = word_at(offset + i);
    memcpy(to + i, &word, 8);
  }
}

static void verify(const uint8_t *bytes, uint64_t offset, size_t length) {
  size_t i = 0;
  for (; i < length && (offset + i) % 8 != 0; i++) {
    uint64_t word = word_at(offset + i);
    if (bytes[i] != ((uint8_t *)&word)[(offset + i) % 8]) die("a wrong byte");
  }
  uint64_t differs = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t word;
    memcpy(&word, bytes + i, 8);
    differs |= word ^ word_at(offset + i);
  }
  if (differs != 0) die("wrong data");
  for (; i < length; i++) {
    uint64_t word = word_at(offset + i);
    if (bytes[i] != ((uint8_t *)&word)[(offset + i) % 8]) die("a wrong byte");
  }
}

/* --- handshake, blocking --- */

static void send_all(int fd, const void *data, size_t length) {
  for (size_t sent = 0; sent < length;) {
    ssize_t n = send(fd, (const uint8_t *)data + sent, length - sent, MSG_NOSIGNAL);
    if (n < 0) die("send failed");
    sent += (size_t)n;
  }
}

static void receive_all(int fd, void *data, size_t length) {
  for (size_t got = 0; got < length;) {
    ssize_t n = recv(fd, (uint8_t *)data + got, length - got, 0);
    if (n <= 0) die("the server closed the connection in the handshake");
    got += (size_t)n;
  }
}

static void send_option(int fd, uint32_t option, const void *data, uint32_t length) {
  struct {
    uint64_t magic;
    uint32_t option, length;
  } header = {htobe64(OPTION_MAGIC), htobe32(option), htobe32(length)};
  send_all(fd, &header, 16);
  send_all(fd, data, length);
}

/* The type of the reply; its data goes to `data`, at most `room` bytes of it. */
static uint32_t receive_option_reply(int fd, uint8_t *data, size_t room) {
  uint8_t header[20], drop[4096];
  uint64_t magic;
  uint32_t type, length;
  receive_all(fd, header, sizeof header);
  memcpy(&magic, header, 8);
  memcpy(&type, header + 12, 4);
  memcpy(&length, header + 16, 4);
  if (be64toh(magic) != OPTION_REPLY_MAGIC) die("no option reply");
  length = be32toh(length);
  if (length > sizeof drop) die("a long option reply");
  receive_all(fd, drop, length);
  memcpy(data, drop, length < room ? length : room);
  return be32toh(type);
}

static void handshake(struct connection *connection, const char *export) {
  uint8_t greeting[18], data[64] = {0}, go[4096 + 6];
  uint32_t client_flags = htobe32(3), name_length = (uint32_t)strlen(export), reply;
  uint32_t name_length_be = htobe32(name_length);
  receive_all(connection->fd, greeting, sizeof greeting);
  send_all(connection->fd, &client_flags, 4);
  send_option(connection->fd, OPT_STRUCTURED_REPLY, "", 0);
  connection->structured = receive_option_reply(connection->fd, data, sizeof data) == REP_ACK;
  memcpy(go, &name_length_be, 4);
  memcpy(go + 4, export, name_length);
  memset(go + 4 + name_length, 0, 2);
  send_option(connection->fd, OPT_GO, go, 4 + name_length + 2);
  while ((reply = receive_option_reply(connection->fd, data, sizeof data)) == REP_INFO) {
    uint16_t type;
    uint64_t export_size;
    memcpy(&type, data, 2);
    memcpy(&export_size, data + 2, 8);
    if (be16toh(type) == INFO_EXPORT) image_size = be64toh(export_size);
  }
  if (reply != REP_ACK) die("the export was refused");
}

static void connect_to(struct connection *connection, const char *path, const char *export) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path || strlen(export) > 4096) die("the path or the name is too long");
  strcpy(address.sun_path, path);
  connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0) {
    die(strerror(errno));
  }
  int buffer = 1 << 20;
  setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  handshake(connection, export);
  connection->in = malloc(RECEIVE_BYTES);
  connection->out = malloc((size_t)depth * (REQUEST_BYTES + size));
  if (connection->in == NULL || connection->out == NULL) die("no memory");
  for (unsigned i = 0; i < depth; i++) connection->idle[connection->idle_count++] = i;
}

/* --- requests --- */

static uint16_t next_type(void) {
  static unsigned count;
  if (operation[0] == 'r') return CMD_READ;
  if (operation[0] == 'w') return CMD_WRITE;
  if (operation[0] == 'f') return CMD_FLUSH;
  return count++ % 10 < 7 ? CMD_READ : CMD_WRITE;
}

static void append_request(struct connection *connection, uint16_t type, unsigned cookie, uint64_t offset, uint32_t length) {
  uint8_t *to = connection->out + connection->out_used;
  uint32_t magic = htobe32(REQUEST_MAGIC), length_be = htobe32(length);
  uint16_t flags = 0, type_be = htobe16(type);
  uint64_t cookie_be = htobe64(cookie), offset_be = htobe64(offset);
  memcpy(to, &magic, 4);
  memcpy(to + 4, &flags, 2);
  memcpy(to + 6, &type_be, 2);
  memcpy(to + 8, &cookie_be, 8);
  memcpy(to + 16, &offset_be, 8);
  memcpy(to + 24, &length_be, 4);
  connection->out_used += REQUEST_BYTES;
  if (type != CMD_WRITE) return;
  fill(to + REQUEST_BYTES, offset, length);
  connection->out_used += length;
}

/* Fills the pipe where everything before has left: the memory is for one round of requests. */
static void make_requests(struct connection *connection) {
  if (connection->out_sent < connection->out_used) return;
  connection->out_sent = connection->out_used = 0;
  while (!stopping && connection->idle_count > 0) {
    unsigned cookie = connection->idle[--connection->idle_count];
    struct request *request = &connection->requests[cookie];
    request->type = next_type();
    uint32_t length = request->type == CMD_FLUSH ? 0 : size;
    request->offset = request->type == CMD_FLUSH ? 0 : next_random() % (image_size / size) * size;
    request->missing = request->type == CMD_READ ? length : 0;
    append_request(connection, request->type, cookie, request->offset, length);
  }
}

static void send_requests(int poll, struct connection *connection) {
  for (;;) {
    make_requests(connection);
    size_t left = connection->out_used - connection->out_sent;
    if (left == 0) break;
    ssize_t n = send(connection->fd, connection->out + connection->out_sent, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) die("send failed");
    connection->out_sent += (size_t)n;
  }
  int wants_out = connection->out_sent < connection->out_used;
  if (wants_out == connection->polled_out) return;
  connection->polled_out = wants_out;
  struct epoll_event event = {.events = EPOLLIN | (wants_out ? EPOLLOUT : 0u), .data.ptr = connection};
  if (epoll_ctl(poll, EPOLL_CTL_MOD, connection->fd, &event) < 0) die("epoll_ctl failed");
}

/* --- replies --- */

static void end_request(struct connection *connection, unsigned cookie) {
  if (connection->requests[cookie].missing != 0) die("a read was answered in part");
  connection->idle[connection->idle_count++] = cookie;
  answered++;
}

static void count_data(struct connection *connection, unsigned cookie, uint32_t length) {
  if (length > connection->requests[cookie].missing) die("more data than was asked for");
  connection->requests[cookie].missing -= length;
}

static void expect_data(struct connection *connection, unsigned cookie, uint64_t offset, uint32_t length, int done) {
  count_data(connection, cookie, length);
  connection->data_offset = offset;
  connection->data_left = length;
  connection->data_cookie = cookie;
  connection->data_done = done;
}

static unsigned cookie_of(const uint8_t *at) {
  uint64_t cookie;
  memcpy(&cookie, at, 8);
  cookie = be64toh(cookie);
  if (cookie >= depth) die("an unknown cookie");
  return (unsigned)cookie;
}

static uint32_t be32_at(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return be32toh(value);
}

/* Takes one header from `length` bytes: its size, or 0 where it is not whole. */
static size_t take_header(struct connection *connection, const uint8_t *at, size_t length) {
  if (length < 16) return 0;
  uint32_t magic = be32_at(at);
  if (magic == SIMPLE_MAGIC) {
    unsigned cookie = cookie_of(at + 8);
    struct request *request = &connection->requests[cookie];
    if (be32_at(at + 4) != 0) die("an error reply");
    if (request->type == CMD_READ) expect_data(connection, cookie, request->offset, request->missing, 1);
    else end_request(connection, cookie);
    return 16;
  }
  if (magic != STRUCTURED_MAGIC) die("a wrong reply magic");
  if (length < 20) return 0;
  unsigned type = (unsigned)(at[6] << 8 | at[7]), cookie = cookie_of(at + 8);
  int done = at[5] & 1;
  uint32_t payload = be32_at(at + 16);
  if (type == REPLY_NONE) {
    if (done) end_request(connection, cookie);
    return 20;
  }
  if (type != REPLY_OFFSET_DATA && type != REPLY_OFFSET_HOLE) die("an error reply");
  if (length < 32) return 0;
  uint64_t offset;
  memcpy(&offset, at + 20, 8);
  offset = be64toh(offset);
  if (type == REPLY_OFFSET_DATA) {
    expect_data(connection, cookie, offset, payload - 8, done);
    return 28;
  }
  die("a hole where there is data");
  return 0;
}

static void take_replies(struct connection *connection) {
  size_t at = 0;
  for (;;) {
    size_t left = connection->in_used - at;
    if (connection->data_left > 0) {
      uint32_t part = left < connection->data_left ? (uint32_t)left : connection->data_left;
      verify(connection->in + at, connection->data_offset, part);
      at += part;
      connection->data_offset += part;
      connection->data_left -= part;
      if (connection->data_left > 0) break;
      if (connection->data_done) end_request(connection, connection->data_cookie);
      continue;
    }
    size_t header = take_header(connection, connection->in + at, left);
    if (header == 0) break;
    at += header;
  }
  memmove(connection->in, connection->in + at, connection->in_used - at);
  connection->in_used -= at;
}

static void receive_replies(struct connection *connection) {
  ssize_t n = recv(connection->fd, connection->in + connection->in_used, RECEIVE_BYTES - connection->in_used, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) die("the server closed the connection");
  connection->in_used += (size_t)n;
  take_replies(connection);
}

/* --- */

static void disconnect(struct connection *connection) {
  connection->out_used = connection->out_sent = 0;
  append_request(connection, CMD_DISC, 0, 0, 0);
  send_all(connection->fd, connection->out, connection->out_used);
  close(connection->fd);
}

int main(int argc, char **argv) {
  if (argc != 8) {
    fputs("usage: nbd-load SOCKET EXPORT read|write|mixed|flush SIZE DEPTH CONNECTIONS SECONDS\n", stderr);
    return 2;
  }
  operation = argv[3];
  size = (uint32_t)atoi(argv[4]);
  depth = (unsigned)atoi(argv[5]);
  unsigned count = (unsigned)atoi(argv[6]);
  double seconds = atof(argv[7]);
  if (size % 8 != 0 || size < 8 || size > MAX_SIZE || depth < 1 || depth > MAX_DEPTH || count < 1 ||
      count > MAX_CONNECTIONS) {
    fputs("nbd-load: SIZE is a multiple of 8 up to 32 MiB, DEPTH 1 to 256, CONNECTIONS 1 to 1024\n", stderr);
    return 2;
  }
  struct connection *connections = calloc(count, sizeof *connections);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  if (connections == NULL || poll < 0) die("no memory");
  for (unsigned i = 0; i < count; i++) {
    connect_to(&connections[i], argv[1], argv[2]);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &event) < 0) die("epoll_ctl failed");
  }
  if (image_size < size) die("the image is smaller than one request");
  double start = now(), elapsed = 0;
  for (unsigned i = 0; i < count; i++) send_requests(poll, &connections[i]);
  unsigned busy = count;
  while (busy > 0) {
    struct epoll_event events[64];
    int ready = epoll_wait(poll, events, 64, -1);
    for (int i = 0; i < ready; i++) {
      struct connection *connection = events[i].data.ptr;
      if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) receive_replies(connection);
      send_requests(poll, connection);
      if (stopping && connection->idle_count == depth) busy--;
    }
    elapsed = now() - start;
    if (!stopping && elapsed >= seconds) {
      stopping = 1;
      busy = 0;
      for (unsigned i = 0; i < count; i++) busy += connections[i].idle_count < depth;
    }
  }
  elapsed = now() - start;
  for (unsigned i = 0; i < count; i++) disconnect(&connections[i]);
  printf("%lu %.6f\n", answered, elapsed);
  return 0;
}
