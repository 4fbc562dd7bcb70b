// Which system calls does the io pool make? One function each. Interrupted calls are made again; short reads and writes
// are the caller's to continue.
//
// Calls that answer with more than one number fill `data` with 64-bit integers, in the order that src/addon/io-pool.ts
// reads them.
#include "fdset.h"
#include "io_pool.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

// The value of a call, or its negated errno; again while a signal interrupts it.
#define RETRY(call)                                     \
  __extension__({                                       \
    int64_t value_;                                     \
    do value_ = (call);                                 \
    while (value_ < 0 && errno == EINTR);               \
    value_ < 0 ? -(int64_t)errno : value_;              \
  })

static int64_t run_open(struct io_call *call) {
  const char *path = (const char *)call->data;
  return RETRY(open(path, (int)call->args[0] | O_CLOEXEC, (mode_t)call->args[1]));
}

static int64_t run_close(struct io_call *call) {
  // close(2), "Dealing with error returns": on Linux the fd is closed even so, and must not be closed again.
  return close(call->fd) < 0 && errno != EINTR ? -errno : 0;
}

static int64_t run_pread(struct io_call *call) {
  int64_t result = RETRY(pread(call->fd, call->data, call->length, call->args[0]));
  if (result > 0) call->filled = (size_t)result;
  return result;
}

static int64_t pwrite_then_sync(struct io_call *call) {
  int64_t result = RETRY(pwrite(call->fd, call->data, call->length, call->args[0]));
  if (result < 0) return result;
  int64_t synced = RETRY(fdatasync(call->fd));
  return synced < 0 ? synced : result;
}

static int64_t run_pwrite(struct io_call *call) {
  int64_t position = call->args[0];
  bool dsync = call->args[1] != 0;
  if (!dsync) return RETRY(pwrite(call->fd, call->data, call->length, position));
#if defined(SYS_pwritev2) && defined(RWF_DSYNC)
  // By number: musl has the wrapper since 1.2.5 only. The kernel puts the position together from two longs.
  struct iovec vector = {.iov_base = call->data, .iov_len = call->length};
  unsigned long low = (unsigned long)position, high = sizeof(long) == 8 ? 0 : (unsigned long)(position >> 32);
  int64_t result = RETRY(syscall(SYS_pwritev2, call->fd, &vector, 1, low, high, RWF_DSYNC));
  if (result != -EOPNOTSUPP && result != -ENOSYS) return result;
#endif
  return pwrite_then_sync(call);
}

static int64_t run_fdatasync(struct io_call *call) { return RETRY(fdatasync(call->fd)); }

static int64_t run_ftruncate(struct io_call *call) { return RETRY(ftruncate(call->fd, call->args[0])); }

static int64_t run_fallocate(struct io_call *call) {
  return RETRY(fallocate(call->fd, (int)call->args[0], call->args[1], call->args[2]));
}

static int64_t run_seek_data(struct io_call *call) { return RETRY(lseek(call->fd, call->args[0], SEEK_DATA)); }

static int64_t run_seek_hole(struct io_call *call) { return RETRY(lseek(call->fd, call->args[0], SEEK_HOLE)); }

// Hands over as many numbers as JavaScript has room for.
static void fill(struct io_call *call, const int64_t *numbers, size_t count) {
  size_t size = count * sizeof *numbers;
  call->filled = size < call->length ? size : call->length;
  memcpy(call->data, numbers, call->filled);
}

static int64_t run_fstat(struct io_call *call) {
  struct stat status;
  int64_t result = RETRY(fstat(call->fd, &status));
  if (result < 0) return result;
  int64_t numbers[] = {(int64_t)status.st_dev,   (int64_t)status.st_ino, (int64_t)status.st_mode,
                       (int64_t)status.st_nlink, (int64_t)status.st_uid, (int64_t)status.st_gid,
                       (int64_t)status.st_rdev,  status.st_size,         status.st_blksize,
                       status.st_blocks};
  fill(call, numbers, COUNT_OF(numbers));
  return 0;
}

static int64_t run_fs_type(struct io_call *call) {
  struct statfs status;
  int64_t result = RETRY(fstatfs(call->fd, &status));
  // f_type is a 32-bit magic number in a signed word.
  return result < 0 ? result : (int64_t)(uint32_t)status.f_type;
}

static struct flock lock_of(const struct io_call *call) {
  static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK}; // as io-pool.ts numbers them
  return (struct flock){.l_type = types[call->args[0] % 3],
                        .l_whence = SEEK_SET,
                        .l_start = call->args[1],
                        .l_len = call->args[2],
                        .l_pid = 0};
}

static int64_t run_ofd_lock(struct io_call *call) {
  struct flock lock = lock_of(call);
  return RETRY(fcntl(call->fd, F_OFD_SETLK, &lock));
}

static int64_t run_ofd_test_lock(struct io_call *call) {
  struct flock lock = lock_of(call);
  int64_t result = RETRY(fcntl(call->fd, F_OFD_GETLK, &lock));
  return result < 0 ? result : lock.l_type != F_UNLCK;
}

static int64_t run_block_device_size(struct io_call *call) {
  uint64_t size = 0;
  int64_t result = RETRY(ioctl(call->fd, BLKGETSIZE64, &size));
  return result < 0 ? result : (int64_t)size;
}

// A number of the device's queue as sysfs shows it, -1 where it does not (no sysfs here, or a sandbox). A partition's
// queue is its disk's, one folder up.
static int64_t queue_limit(dev_t device, const char *name) {
  static const char *const folders[] = {"", "../"};
  for (size_t i = 0; i < COUNT_OF(folders); i++) {
    char path[128], text[32];
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%squeue/%s", major(device), minor(device), folders[i], name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    long long number;
    if (length <= 0) continue;
    text[length] = '\0';
    if (sscanf(text, "%lld", &number) == 1) return number;
  }
  return -1;
}

static int64_t run_block_device_geometry(struct io_call *call) {
  int logical = 0;
  unsigned int physical = 0, minimum = 0, optimal = 0;
  struct stat status;
  int64_t result = RETRY(ioctl(call->fd, BLKSSZGET, &logical));
  if (result >= 0) result = RETRY(ioctl(call->fd, BLKPBSZGET, &physical));
  if (result >= 0) result = RETRY(ioctl(call->fd, BLKIOMIN, &minimum));
  if (result >= 0) result = RETRY(ioctl(call->fd, BLKIOOPT, &optimal));
  if (result >= 0) result = RETRY(fstat(call->fd, &status));
  if (result < 0) return result;
  int64_t numbers[] = {logical,
                       physical,
                       minimum,
                       optimal,
                       queue_limit(status.st_rdev, "discard_granularity"),
                       queue_limit(status.st_rdev, "discard_max_bytes"),
                       queue_limit(status.st_rdev, "write_zeroes_max_bytes")};
  fill(call, numbers, COUNT_OF(numbers));
  return 0;
}

static int64_t run_blk_discard(struct io_call *call) {
  uint64_t range[2] = {(uint64_t)call->args[0], (uint64_t)call->args[1]};
  return RETRY(ioctl(call->fd, BLKDISCARD, range));
}

static int64_t run_blk_zeroout(struct io_call *call) {
  uint64_t range[2] = {(uint64_t)call->args[0], (uint64_t)call->args[1]};
  return RETRY(ioctl(call->fd, BLKZEROOUT, range));
}

// statx(2) with STATX_DIOALIGN (Linux 6.1), by number and place, since the C library's headers may be older. False
// where the kernel or the file system does not say.
static bool statx_alignment(int fd, int64_t *numbers) {
#ifdef SYS_statx
  enum { DIOALIGN = 0x2000, EMPTY_PATH = 0x1000, MASK = 0, MEMORY_ALIGN = 38, OFFSET_ALIGN = 39 };
  uint32_t words[64] = {0}; // struct statx
  if (syscall(SYS_statx, fd, "", EMPTY_PATH, DIOALIGN, words) != 0 || (words[MASK] & DIOALIGN) == 0) return false;
  numbers[0] = words[MEMORY_ALIGN];
  numbers[1] = words[OFFSET_ALIGN];
  return true;
#else
  (void)fd, (void)numbers;
  return false;
#endif
}

static int64_t run_direct_io_alignment(struct io_call *call) {
  struct stat status;
  int64_t numbers[2];
  int64_t result = RETRY(fstat(call->fd, &status));
  if (result < 0) return result;
  if (!statx_alignment(call->fd, numbers)) {
    int logical = 4096; // no common device has larger blocks
    if (S_ISBLK(status.st_mode) && ioctl(call->fd, BLKSSZGET, &logical) < 0) return -errno;
    numbers[0] = numbers[1] = logical;
  }
  fill(call, numbers, COUNT_OF(numbers));
  return 0;
}

const struct io_operation io_operations[] = {
    [IO_OPEN] = {"open", IO_DATA_IN, run_open},
    [IO_CLOSE] = {"close", IO_NO_DATA, run_close},
    {"pread", IO_DATA_OUT, run_pread},
    {"pwrite", IO_DATA_IN, run_pwrite},
    {"fdatasync", IO_NO_DATA, run_fdatasync},
    {"ftruncate", IO_NO_DATA, run_ftruncate},
    {"fallocate", IO_NO_DATA, run_fallocate},
    {"seekData", IO_NO_DATA, run_seek_data},
    {"seekHole", IO_NO_DATA, run_seek_hole},
    {"fstat", IO_DATA_OUT, run_fstat},
    {"fsType", IO_NO_DATA, run_fs_type},
    {"ofdLock", IO_NO_DATA, run_ofd_lock},
    {"ofdTestLock", IO_NO_DATA, run_ofd_test_lock},
    {"blockDeviceSize", IO_NO_DATA, run_block_device_size},
    {"blockDeviceGeometry", IO_DATA_OUT, run_block_device_geometry},
    {"blkDiscard", IO_NO_DATA, run_blk_discard},
    {"blkZeroout", IO_NO_DATA, run_blk_zeroout},
    {"directIoAlignment", IO_DATA_OUT, run_direct_io_alignment},
};
const size_t io_operation_count = COUNT_OF(io_operations);
