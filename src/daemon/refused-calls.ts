// Which system calls does the daemon never need, and what are their numbers? It works on fds that it was given, so
// nothing here is missed: no path, no new socket, no other process. Sources: the kernel's system call tables,
// arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.

/** The numbers of a call on x86-64 and on arm64; `none` where the architecture has no such call. */
export type CallNumbers = readonly [x64: number, arm64: number];

type CallTable = Readonly<Record<string, CallNumbers>>;

const none = -1;

/** The highest number that was known when these lists were made; what comes later is refused as unknown. */
export const lastKnownCall = 469;

// Opening by path. Until the program is loaded it needs the first two, see `startCalls`.
// What the seccomp filter shuts is shut also for folders that Landlock lets the program read.
const opens: CallTable = {
  open: [2, none],
  openat: [257, 56],
  openat2: [437, 437],
  creat: [85, none],
  open_by_handle_at: [304, 265],
  name_to_handle_at: [303, 264],
  mq_open: [240, 180],
  mq_unlink: [241, 181],
};

// Other programs. Threads stay possible: `clone` has a rule of its own.
const programs: CallTable = {
  execve: [59, 221],
  execveat: [322, 281],
  uselib: [134, none],
  fork: [57, none],
  vfork: [58, none],
};

// New sockets: everything the daemon talks through was bound and connected elsewhere. Landlock stops neither
// connect() to a path nor UDP.
const sockets: CallTable = {
  socket: [41, 198],
  connect: [42, 203],
  bind: [49, 200],
};

// What an inode says about itself, by path, and by fd too: the owner of an image decides who may read it.
const attributes: CallTable = {
  truncate: [76, 45],
  chmod: [90, none],
  fchmod: [91, 52],
  fchmodat: [268, 53],
  fchmodat2: [452, 452],
  chown: [92, none],
  fchown: [93, 55],
  lchown: [94, none],
  fchownat: [260, 54],
  setxattr: [188, 5],
  lsetxattr: [189, 6],
  fsetxattr: [190, 7],
  setxattrat: [463, 463],
  removexattr: [197, 14],
  lremovexattr: [198, 15],
  fremovexattr: [199, 16],
  removexattrat: [466, 466],
  getxattr: [191, 8],
  lgetxattr: [192, 9],
  getxattrat: [464, 464],
  listxattr: [194, 11],
  llistxattr: [195, 12],
  listxattrat: [465, 465],
  utime: [132, none],
  utimes: [235, none],
  utimensat: [280, 88],
  futimesat: [261, none],
  file_getattr: [468, 468],
  file_setattr: [469, 469],
};

// Names in folders, and the folder that relative names begin at.
const names: CallTable = {
  link: [86, none],
  linkat: [265, 37],
  symlink: [88, none],
  symlinkat: [266, 36],
  rename: [82, none],
  renameat: [264, 38],
  renameat2: [316, 276],
  unlink: [87, none],
  unlinkat: [263, 35],
  mkdir: [83, none],
  mkdirat: [258, 34],
  rmdir: [84, none],
  mknod: [133, none],
  mknodat: [259, 33],
  chdir: [80, 49],
  fchdir: [81, 50],
  chroot: [161, 51],
  inotify_add_watch: [254, 27],
  fanotify_init: [300, 262],
  fanotify_mark: [301, 263],
};

// Other processes of the same uid: their memory, their fds, their priority.
const processes: CallTable = {
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  process_mrelease: [448, 448],
  kcmp: [312, 272],
  pidfd_open: [434, 434],
  pidfd_getfd: [438, 438],
  pidfd_send_signal: [424, 424],
  tkill: [200, 130],
  migrate_pages: [256, 238],
  move_pages: [279, 239],
  setpriority: [141, 140],
  ioprio_set: [251, 30],
  sched_setaffinity: [203, 122],
  sched_setattr: [314, 274],
  sched_setscheduler: [144, 119],
  sched_setparam: [142, 118],
};

// What processes of one uid share by number: System V IPC, keys.
const shared: CallTable = {
  shmget: [29, 194],
  shmat: [30, 196],
  shmctl: [31, 195],
  msgget: [68, 186],
  msgsnd: [69, 189],
  msgrcv: [70, 188],
  msgctl: [71, 187],
  semget: [64, 190],
  semop: [65, 193],
  semtimedop: [220, 192],
  semctl: [66, 191],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
};

// The system, for which a capability is needed too, and whose code has been a way up before.
const system: CallTable = {
  unshare: [272, 97],
  setns: [308, 268],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  move_mount: [429, 429],
  open_tree: [428, 428],
  open_tree_attr: [467, 467],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  statmount: [457, 457],
  listmount: [458, 458],
  swapon: [167, 224],
  swapoff: [168, 225],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  acct: [163, 89],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  reboot: [169, 142],
  syslog: [103, 116],
  iopl: [172, none],
  ioperm: [173, none],
  modify_ldt: [154, none],
  personality: [135, 92],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  adjtimex: [159, 171],
  clock_adjtime: [305, 266],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  vhangup: [153, 58],
  lookup_dcookie: [212, 18],
};

/** Calls that are judged by an argument, see seccomp-filter.ts. */
export const judgedCalls = {
  clone: [56, 220],
  clone3: [435, 435],
  kill: [62, 129],
  tgkill: [234, 131],
  rt_sigqueueinfo: [129, 138],
  rt_tgsigqueueinfo: [297, 240],
  prlimit64: [302, 261],
  socketpair: [53, 199],
  ioctl: [16, 29],
  prctl: [157, 167],
} as const satisfies CallTable;

/** Refused from the moment that the program is loaded. */
export const refusedCalls: CallTable = {
  ...opens,
  ...programs,
  ...sockets,
  ...attributes,
  ...names,
  ...processes,
  ...shared,
  ...system,
};

/** Of these, what a program needs until then: to be executed and to read its own files. */
export const startCalls: ReadonlySet<string> = new Set(['open', 'openat', 'execve']);
