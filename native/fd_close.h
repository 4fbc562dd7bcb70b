// Closing an fd that somebody else has made: see fd_close.c.
#ifndef FDSET_FD_CLOSE_H
#define FDSET_FD_CLOSE_H

// Closes the fd here where that cannot wait. 1: it could, and the fd is still open; 0: it is closed; -errno.
int close_at_once(int fd);

// Closes the fd, here or on a thread of the pool, and tells nobody. The number is not the caller's any more. 0, or
// -EBADF.
int close_unattended(int fd);

#endif
