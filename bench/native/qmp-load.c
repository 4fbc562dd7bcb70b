/*
 * How many QMP commands a second does a server answer? The load for bench/monitor.ts: one connection, DEPTH requests in
 * flight, add-fd and remove-fd in turn, each in a message of its own, each add-fd with one fd (of /dev/null).
 *
 *   qmp-load SOCKET DEPTH SECONDS [echo]
 *
 * prints "COMMANDS SECONDS" and exits 0; any error reply, a short connection or a failing system call exits 1.
 * With `echo` the server has no QMP of its own (bench/native/echo-server.c): no greeting is awaited, nothing negotiated,
 * and a reply is whatever ends in a line feed. The bytes and fds sent are the same.
 *
 * Messages go out with sendmmsg, as many as the window allows, so that the load costs less than any server.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DEPTH = 1024, SETS = 64, REQUEST_SIZE = 160, REPLY_BUFFER = 1 << 18 };

static char add_fd[SETS][REQUEST_SIZE], remove_fd[SETS][REQUEST_SIZE];

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
    snprintf(add_fd[i], REQUEST_SIZE,
             "{\"execute\": \"add-fd\", \"arguments\": {\"fdset-id\": %d, \"opaque\": \"disk-%02d.qcow2\"}, \"id\": \"load-%02d\"}",
             i, i, i);
    snprintf(remove_fd[i], REQUEST_SIZE,
             "{\"execute\": \"remove-fd\", \"arguments\": {\"fdset-id\": %d}, \"id\": \"load-%02d\"}", i, i);
  }
}

/* Sends requests number `first` to `first + count - 1`, one message each. */
static void send_requests(int fd, int passed, unsigned long first, unsigned count) {
  static struct mmsghdr messages[MAX_DEPTH];
  static struct iovec parts[MAX_DEPTH];
  static union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  control.align.cmsg_level = SOL_SOCKET;
  control.align.cmsg_type = SCM_RIGHTS;
  control.align.cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(&control.align), &passed, sizeof passed);

  for (unsigned i = 0; i < count; i++) {
    unsigned long number = first + i;
    int adds = number % 2 == 0;
    char *text = (adds ? add_fd : remove_fd)[number / 2 % SETS];
    parts[i] = (struct iovec){text, strlen(text)};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    if (adds) {
      messages[i].msg_hdr.msg_control = control.bytes;
      messages[i].msg_hdr.msg_controllen = sizeof control.bytes;
    }
  }
  for (unsigned sent = 0; sent < count;) {
    int n = sendmmsg(fd, messages + sent, count - sent, MSG_NOSIGNAL);
    if (n < 0) die("sendmmsg");
    for (int i = 0; i < n; i++)
      if (messages[sent + (unsigned)i].msg_len != parts[sent + (unsigned)i].iov_len) {
        fputs("qmp-load: a request was sent in part\n", stderr);
        exit(1);
      }
    sent += (unsigned)n;
  }
}

/* Reads what is there; returns the number of replies that it ends. */
static unsigned read_replies(int fd) {
  static char buffer[REPLY_BUFFER];
  ssize_t n = recv(fd, buffer, sizeof buffer, 0);
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
  for (char *p = buffer, *end = buffer + n; (p = memchr(p, '\n', (size_t)(end - p))); p++) ended++;
  return ended;
}

static void negotiate(int fd) {
  static const char hello[] = "{\"execute\": \"qmp_capabilities\"}";
  while (read_replies(fd) == 0) continue;
  if (send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL) < 0) die("send");
  while (read_replies(fd) == 0) continue;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fputs("usage: qmp-load SOCKET DEPTH SECONDS [echo]\n", stderr);
    return 2;
  }
  unsigned depth = (unsigned)atoi(argv[2]);
  double seconds = atof(argv[3]);
  if (depth < 1 || depth > MAX_DEPTH || seconds <= 0) {
    fputs("qmp-load: DEPTH is 1 to 1024, SECONDS above 0\n", stderr);
    return 2;
  }
  write_requests();
  int passed = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (passed < 0) die("/dev/null");
  int fd = connect_unix(argv[1]);
  if (argc == 4) negotiate(fd);

  unsigned long sent = 0, answered = 0;
  double start = now(), elapsed = 0;
  for (;;) {
    /* An even number in all, so that no set is left behind. */
    int more = elapsed < seconds || sent % 2 != 0;
    if (more) {
      unsigned room = depth - (unsigned)(sent - answered);
      if (elapsed >= seconds && room > 1) room = 1;
      if (room > 0) send_requests(fd, passed, sent, room);
      sent += room;
    } else if (answered == sent) {
      break;
    }
    answered += read_replies(fd);
    elapsed = now() - start;
  }
  printf("%lu %.6f\n", answered, elapsed);
  return 0;
}
