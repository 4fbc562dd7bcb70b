/*
 * How many QMP commands a second does a server answer? The load for bench/monitor.ts: one connection, DEPTH requests in
 * flight, add-fd and remove-fd in turn, each in a message of its own.
 *
 *   qmp-load SOCKET DEPTH SECONDS qmp|echo every|add
 *   qmp-load SOCKET 1 SECONDS query          query-fdsets, one at a time
 *   qmp-load SOCKET 64 COUNT grow            makes COUNT sets of one fd each, from id 1000 on, which stay
 *
 * With `every` each message carries an fd (of /dev/null), with `add` only those of add-fd do. It
 * prints "COMMANDS SECONDS" and exits 0; any error reply, a short connection or a failing system call exits 1.
 * With `echo` the server has no QMP of its own (echo-server.c): no greeting is awaited, nothing negotiated, and a reply
 * is 36 bytes. The bytes and fds sent are the same; each request ends with a line feed.
 *
 * It waits in poll, as clients with an event loop do. One that slept in recv would be woken, to sleep again, by each
 * message that the server takes from the socket.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DEPTH = 1024, SETS = 64, GROWN_FROM = 1000, REQUEST_SIZE = 160, REPLY_BUFFER = 1 << 18, ECHO_BYTES = 36 };

struct request {
  char text[REQUEST_SIZE];
  size_t length;
};
static struct request add_fd[SETS], remove_fd[SETS];

static void die(const char *what) {
  fprintf(stderr, "qmp-load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int connect_unix(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    die(path);
  }
  strcpy(address.sun_path, path);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die(path);
  return fd;
}

static void write_requests(void) {
  for (int i = 0; i < SETS; i++) {
    add_fd[i].length = (size_t)snprintf(
        add_fd[i].text, REQUEST_SIZE,
        "{\"execute\": \"add-fd\", \"arguments\": {\"fdset-id\": %d, \"opaque\": \"disk-%02d.qcow2\"}, \"id\": \"load-%02d\"}\n",
        i, i, i);
    remove_fd[i].length = (size_t)snprintf(
        remove_fd[i].text, REQUEST_SIZE,
        "{\"execute\": \"remove-fd\", \"arguments\": {\"fdset-id\": %d}, \"id\": \"load-%02d\"}\n", i, i);
  }
}

/* One sendmsg; without an fd where `passed` is -1. */
static void send_request(int fd, const struct request *request, int passed) {
  static union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {(char *)request->text, request->length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (passed >= 0) {
    control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(&control.align), &passed, sizeof passed);
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
  }
  ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  if (sent < 0) die("sendmsg");
  if ((size_t)sent != request->length) {
    fputs("qmp-load: a request was sent in part\n", stderr);
    exit(1);
  }
}

/* Reads what is there; returns the number of replies that it ends. */
static unsigned read_replies(int fd, int echo) {
  static char buffer[REPLY_BUFFER];
  static size_t partial;
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  ssize_t n;
  while ((n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) < 0 && errno == EAGAIN) poll(&readable, 1, -1);
  if (n < 0) die("recv");
  if (n == 0) {
    fputs("qmp-load: the server closed the connection\n", stderr);
    exit(1);
  }
  if (memmem(buffer, (size_t)n, "\"error\"", 7)) {
    fprintf(stderr, "qmp-load: the server answered an error: %.*s\n", n < 300 ? (int)n : 300, buffer);
    exit(1);
  }
  unsigned ended = 0;
  if (echo) {
    partial += (size_t)n;
    ended = (unsigned)(partial / ECHO_BYTES);
    partial %= ECHO_BYTES;
    return ended;
  }
  for (char *p = buffer, *end = buffer + n; (p = memchr(p, '\n', (size_t)(end - p))); p++) ended++;
  return ended;
}

static void negotiate(int fd) {
  static const char hello[] = "{\"execute\": \"qmp_capabilities\"}";
  while (read_replies(fd, 0) == 0) continue;
  if (send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL) < 0) die("send");
  while (read_replies(fd, 0) == 0) continue;
}

struct load {
  enum { CHURN, GROW, QUERY } kind;
  int passed, every;
};

static const struct request query = {"{\"execute\": \"query-fdsets\"}\n", 28};

static void send_number(int fd, const struct load *load, unsigned long number) {
  struct request grown;
  int adds = number % 2 == 0;
  switch (load->kind) {
    case QUERY:
      send_request(fd, &query, -1);
      return;
    case GROW:
      grown.length = (size_t)snprintf(grown.text, REQUEST_SIZE,
                                      "{\"execute\": \"add-fd\", \"arguments\": {\"fdset-id\": %lu, \"opaque\": \"grown\"}}\n",
                                      GROWN_FROM + number);
      send_request(fd, &grown, load->passed);
      return;
    case CHURN:
      send_request(fd, (adds ? add_fd : remove_fd) + number / 2 % SETS, adds || load->every ? load->passed : -1);
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 4 ? argv[4] : "";
  int echo = strcmp(what, "echo") == 0, grows = strcmp(what, "grow") == 0;
  int churns = echo || strcmp(what, "qmp") == 0;
  if (argc != (churns ? 6 : 5) || !(churns || grows || strcmp(what, "query") == 0)) {
    fputs("usage: qmp-load SOCKET DEPTH SECONDS qmp|echo every|add, or SECONDS query, or COUNT grow\n", stderr);
    return 2;
  }
  unsigned depth = (unsigned)atoi(argv[2]);
  double seconds = grows ? 3600 : atof(argv[3]);
  unsigned long count = grows ? strtoul(argv[3], NULL, 10) : ~0UL;
  if (depth < 1 || depth > MAX_DEPTH || seconds <= 0) {
    fputs("qmp-load: DEPTH is 1 to 1024, SECONDS above 0\n", stderr);
    return 2;
  }
  struct load load = {.kind = churns ? CHURN : grows ? GROW : QUERY, .passed = open("/dev/null", O_RDWR | O_CLOEXEC)};
  if (load.passed < 0) die("/dev/null");
  load.every = churns && strcmp(argv[5], "every") == 0;
  write_requests();
  int fd = connect_unix(argv[1]);
  if (!echo) negotiate(fd);

  unsigned long sent = 0, answered = 0;
  double start = now(), elapsed = 0;
  for (;;) {
    /* Of add-fd and remove-fd an even number in all, so that no set is left behind. */
    int late = elapsed >= seconds;
    int more = sent < count && (!late || (churns && sent % 2 != 0));
    for (unsigned room = late ? 1 : depth; more && room > 0 && sent - answered < depth && sent < count; room--) {
      send_number(fd, &load, sent++);
    }
    if (!more && answered == sent) break;
    answered += read_replies(fd, echo);
    elapsed = now() - start;
  }
  printf("%lu %.6f\n", answered, elapsed);
  return 0;
}
