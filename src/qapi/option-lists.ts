// Which keys do the options of the older kind have? QEMU 10.0's lists.
import type { OptionList } from './qemu-opts.ts';

/** `--chardev [backend=]BACKEND,id=ID,…`: one list for all backends. */
export const chardevOptions = {
  impliedKey: 'backend',
  options: {
    backend: 'string',
    path: 'string',
    host: 'string',
    port: 'string',
    fd: 'string',
    localaddr: 'string',
    localport: 'string',
    to: 'number',
    ipv4: 'bool',
    ipv6: 'bool',
    wait: 'bool',
    server: 'bool',
    delay: 'bool',
    nodelay: 'bool',
    reconnect: 'number',
    'reconnect-ms': 'number',
    telnet: 'bool',
    tn3270: 'bool',
    'tls-creds': 'string',
    'tls-authz': 'string',
    websocket: 'bool',
    width: 'number',
    height: 'number',
    cols: 'number',
    rows: 'number',
    mux: 'bool',
    signal: 'bool',
    name: 'string',
    debug: 'number',
    size: 'size',
    chardev: 'string',
    'chardevs.0': 'string',
    'chardevs.1': 'string',
    'chardevs.2': 'string',
    'chardevs.3': 'string',
    'input-path': 'string',
    append: 'bool',
    logfile: 'string',
    logappend: 'bool',
    mouse: 'bool',
    clipboard: 'bool',
    abstract: 'bool',
    tight: 'bool',
  },
} as const satisfies OptionList;

/** `--add-fd fd=N,set=ID[,opaque=TEXT]`. */
export const addFdOptions = {
  options: { fd: 'number', set: 'number', opaque: 'string' },
} as const satisfies OptionList;
