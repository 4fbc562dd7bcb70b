// Character devices. From QEMU's qapi/char.json.
import { array, bool, command, enumeration, int, optional, str, struct, union } from '../builders.ts';
import type { Infer } from '../types.ts';
import { SocketAddressLegacy } from './sockets.ts';

export const ChardevInfo = struct('ChardevInfo', { label: str, filename: str, 'frontend-open': bool });
export type ChardevInfo = Infer<typeof ChardevInfo>;

export const queryChardev = command('query-chardev', { returns: array(ChardevInfo) });

export const ChardevBackendInfo = struct('ChardevBackendInfo', { name: str });
export const queryChardevBackends = command('query-chardev-backends', { returns: array(ChardevBackendInfo) });

/** How bytes are written as a string. */
export const DataFormat = enumeration('DataFormat', ['utf8', 'base64']);

export const ringbufWrite = command('ringbuf-write', {
  data: { device: str, data: str, format: optional(DataFormat) },
});
export const ringbufRead = command('ringbuf-read', {
  data: { device: str, size: int, format: optional(DataFormat) },
  returns: str,
});

export const ChardevCommon = struct('ChardevCommon', { logfile: optional(str), logappend: optional(bool) });

const common = { base: ChardevCommon };

export const ChardevFile = struct('ChardevFile', { in: optional(str), out: str, append: optional(bool) }, common);
export const ChardevHostdev = struct('ChardevHostdev', { device: str }, common);
export const ChardevSocket = struct(
  'ChardevSocket',
  {
    addr: SocketAddressLegacy,
    'tls-creds': optional(str),
    'tls-authz': optional(str),
    server: optional(bool),
    wait: optional(bool),
    nodelay: optional(bool),
    telnet: optional(bool),
    tn3270: optional(bool),
    websocket: optional(bool),
    reconnect: optional(int, { features: ['deprecated'] }),
    'reconnect-ms': optional(int),
  },
  common,
);
export const ChardevUdp = struct(
  'ChardevUdp',
  { remote: SocketAddressLegacy, local: optional(SocketAddressLegacy) },
  common,
);
export const ChardevMux = struct('ChardevMux', { chardev: str }, common);
export const ChardevHub = struct('ChardevHub', { chardevs: array(str) }, common);
export const ChardevStdio = struct('ChardevStdio', { signal: optional(bool) }, common);
export const ChardevSpiceChannel = struct('ChardevSpiceChannel', { type: str }, common);
export const ChardevSpicePort = struct('ChardevSpicePort', { fqdn: str }, common);
export const ChardevDBus = struct('ChardevDBus', { name: str }, common);
export const ChardevVC = struct(
  'ChardevVC',
  { width: optional(int), height: optional(int), cols: optional(int), rows: optional(int) },
  common,
);
export const ChardevRingbuf = struct('ChardevRingbuf', { size: optional(int) }, common);
export const ChardevQemuVDAgent = struct(
  'ChardevQemuVDAgent',
  { mouse: optional(bool), clipboard: optional(bool) },
  common,
);
export const ChardevPty = struct('ChardevPty', { path: optional(str) }, common);

export const ChardevBackendKind = enumeration(
  'ChardevBackendKind',
  [
    'file',
    'serial',
    'parallel',
    'pipe',
    'socket',
    'udp',
    'pty',
    'null',
    'mux',
    'hub',
    'msmouse',
    'wctablet',
    'braille',
    'testdev',
    'stdio',
    'spicevmc',
    'spiceport',
    'qemu-vdagent',
    'dbus',
    'vc',
    'ringbuf',
    'memory',
  ],
  { features: { memory: ['deprecated'] } },
);

const ChardevCommonWrapper = struct('ChardevCommonWrapper', { data: ChardevCommon });
const ChardevHostdevWrapper = struct('ChardevHostdevWrapper', { data: ChardevHostdev });
const ChardevRingbufWrapper = struct('ChardevRingbufWrapper', { data: ChardevRingbuf });

export const ChardevBackend = union('ChardevBackend', {
  base: { type: ChardevBackendKind },
  discriminator: 'type',
  variants: {
    file: struct('ChardevFileWrapper', { data: ChardevFile }),
    serial: ChardevHostdevWrapper,
    parallel: ChardevHostdevWrapper,
    pipe: ChardevHostdevWrapper,
    socket: struct('ChardevSocketWrapper', { data: ChardevSocket }),
    udp: struct('ChardevUdpWrapper', { data: ChardevUdp }),
    pty: struct('ChardevPtyWrapper', { data: ChardevPty }),
    null: ChardevCommonWrapper,
    mux: struct('ChardevMuxWrapper', { data: ChardevMux }),
    hub: struct('ChardevHubWrapper', { data: ChardevHub }),
    msmouse: ChardevCommonWrapper,
    wctablet: ChardevCommonWrapper,
    braille: ChardevCommonWrapper,
    testdev: ChardevCommonWrapper,
    stdio: struct('ChardevStdioWrapper', { data: ChardevStdio }),
    spicevmc: struct('ChardevSpiceChannelWrapper', { data: ChardevSpiceChannel }),
    spiceport: struct('ChardevSpicePortWrapper', { data: ChardevSpicePort }),
    'qemu-vdagent': struct('ChardevQemuVDAgentWrapper', { data: ChardevQemuVDAgent }),
    dbus: struct('ChardevDBusWrapper', { data: ChardevDBus }),
    vc: struct('ChardevVCWrapper', { data: ChardevVC }),
    ringbuf: ChardevRingbufWrapper,
    memory: ChardevRingbufWrapper,
  },
});
export type ChardevBackend = Infer<typeof ChardevBackend>;

export const ChardevReturn = struct('ChardevReturn', { pty: optional(str) });

export const chardevAdd = command('chardev-add', {
  data: { id: str, backend: ChardevBackend },
  returns: ChardevReturn,
});

/** Gives a device another backend. */
export const chardevChange = command('chardev-change', {
  data: { id: str, backend: ChardevBackend },
  returns: ChardevReturn,
});

export const chardevRemove = command('chardev-remove', { data: { id: str } });

export const chardevSendBreak = command('chardev-send-break', { data: { id: str } });
