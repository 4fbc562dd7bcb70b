// What can a server of fd messages do at best on this machine? The yardstick of the monitor benchmark: epoll and
// recvmmsg, no JSON, no commands, nothing but the same bytes and fds.
//
//   cc -O2 -o echo-server echo-server.c && ./echo-server SOCKET-PATH
//
// It serves one client at a time. A request is a line (about 96 bytes) that may carry an fd; the fd is closed, and each
// line is answered with 36 bytes. The replies of what one read brought leave with one send. It reads blindly, without
// finding out which byte an fd came with.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGES 64
#define MESSAGE_BYTES 2048
#define REPLY "{\"return\": {\"fdset-id\": 0, \"fd\": 9}}"
#define REPLY_BYTES (sizeof REPLY - 1)

static char data[MESSAGES][MESSAGE_BYTES];
static char control[MESSAGES][CMSG_SPACE(16 * sizeof(int))];
static char replies[MESSAGES * MESSAGE_BYTES * REPLY_BYTES];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void close_fds(struct msghdr *header) {
  for (struct cmsghdr *message = CMSG_FIRSTHDR(header); message != NULL; message = CMSG_NXTHDR(header, message)) {
    size_t count = (message->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(message) + i * sizeof fd, sizeof fd);
      close(fd);
    }
  }
}

static size_t count_lines(const char *bytes, size_t length) {
  size_t lines = 0;
  for (const char *end = bytes + length; (bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL; bytes++) lines++;
  return lines;
}

static void answer(int client, size_t lines) {
  size_t length = lines * REPLY_BYTES;
  for (size_t i = 0; i < lines; i++) memcpy(replies + i * REPLY_BYTES, REPLY, REPLY_BYTES);
  for (size_t sent = 0; sent < length;) {
    ssize_t count = send(client, replies + sent, length - sent, MSG_NOSIGNAL);
    if (count < 0) return;
    sent += (size_t)count;
  }
}

// False at the end of the connection.
static int serve_batch(int client) {
  static struct mmsghdr messages[MESSAGES];
  static struct iovec rooms[MESSAGES];
  for (size_t i = 0; i < MESSAGES; i++) {
    rooms[i] = (struct iovec){.iov_base = data[i], .iov_len = MESSAGE_BYTES};
    messages[i].msg_hdr = (struct msghdr){
        .msg_iov = &rooms[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = sizeof control[i]};
  }
  int count = recvmmsg(client, messages, MESSAGES, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  size_t lines = 0;
  for (int i = 0; i < count; i++) {
    if (messages[i].msg_len == 0) return 0;
    lines += count_lines(data[i], messages[i].msg_len);
    close_fds(&messages[i].msg_hdr);
  }
  answer(client, lines);
  return 1;
}

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) {
    fprintf(stderr, "usage: echo-server SOCKET-PATH\n");
    return 2;
  }
  strcpy(address.sun_path, argv[1]);
  unlink(argv[1]);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail(argv[1]);
  if (listen(listener, 16) < 0) fail("listen");
  int poll = epoll_create1(EPOLL_CLOEXEC);
  if (poll < 0) fail("epoll_create1");
  for (;;) {
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) fail("accept4");
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, client, &event) < 0) fail("epoll_ctl");
    do {
      epoll_wait(poll, &event, 1, -1);
    } while (serve_batch(client));
    close(client);
  }
}
