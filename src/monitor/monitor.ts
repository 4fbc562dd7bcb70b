// What is a monitor? A server of QMP on one character device: one session at a time, and what outlives the session.
import type { CharFrontend, Chardev, OpenChannel } from '../chardev/index.ts';
import { NamedFds } from '../fds/index.ts';
import { MonitorClients } from './clients.ts';
import { Dispatcher } from './dispatch.ts';
import { MonitorEvents } from './events.ts';
import { PROFILE_10_0, type Profile } from './profile.ts';
import type { CommandRegistry } from './registry.ts';
import { RequestedEvents } from './requested-events.ts';
import { DEFAULT_MAX_UNREAD_REPLIES, Session } from './session.ts';

/** How long a session may take to send its last replies when the monitor is closed, in milliseconds. */
const CLOSE_TIMEOUT = 1000;

/** What the monitors of a program share: the commands, the line they run in, the events. */
export interface MonitorShared {
  readonly registry: CommandRegistry;
  readonly dispatcher: Dispatcher;
  readonly events: MonitorEvents;
  readonly requestedEvents: RequestedEvents;
  readonly profile: Profile;
  readonly clients: MonitorClients;
}

/** One for all monitors of a program. */
export function createMonitorShared(registry: CommandRegistry, profile: Profile = PROFILE_10_0): MonitorShared {
  return {
    registry,
    profile,
    dispatcher: new Dispatcher(),
    events: new MonitorEvents((event) => registry.rateLimit(event)),
    requestedEvents: new RequestedEvents(),
    clients: new MonitorClients(),
  };
}

export interface MonitorOptions {
  /** Names the monitor in the ledger and in errors. Default: the id of its character device. */
  readonly id?: string;
  /** Messages over several lines, as QEMU's `pretty=on`. Default: false. */
  readonly pretty?: boolean;
  /** Bytes of replies a client may leave unread before it is no longer read. Default: 64 MiB. */
  readonly maxUnreadReplies?: number;
}

/** A QMP monitor. It uses its character device from the moment it is made. */
export class Monitor implements CharFrontend {
  readonly id: string;
  /** What `getfd` has stored here: it belongs to the monitor and survives its sessions. */
  readonly namedFds = new NamedFds();
  readonly #shared: MonitorShared;
  readonly #options: MonitorOptions;
  readonly #chardev: Chardev;
  #session: Session | undefined;
  #sessionGone: () => void = () => undefined;
  #closing: Promise<void> | undefined;

  constructor(chardev: Chardev, shared: MonitorShared, options: MonitorOptions = {}) {
    this.id = options.id ?? chardev.id;
    this.#shared = shared;
    this.#options = options;
    this.#chardev = chardev;
    chardev.attach(this);
  }

  /** A client has come: for the character device. */
  connected(open: OpenChannel): void {
    const { registry, dispatcher, events, requestedEvents, profile, clients } = this.#shared;
    this.#session = new Session(
      {
        monitorId: this.id,
        namedFds: this.namedFds,
        registry,
        dispatcher,
        version: profile.version,
        capabilities: this.#chardev.inBandOnly === true ? [] : ['oob'],
        pretty: this.#options.pretty ?? false,
        maxUnreadReplies: this.#options.maxUnreadReplies ?? DEFAULT_MAX_UNREAD_REPLIES,
        onNegotiated: (session) => events.add(session),
        onEventsRequested: (session, topic, on) => requestedEvents.request(topic, session, on),
        onLeft: () => clients.left(),
        onClosed: (session) => {
          events.delete(session);
          requestedEvents.forget(session);
          this.#session = undefined;
          this.#sessionGone();
        },
      },
      (handlers) => {
        const channel = open(handlers);
        clients.came(); // what was opened is closed, and then the client leaves
        return channel;
      },
    );
  }

  /**
   * Takes no more clients, lets the session's replies leave and closes it; the named fds are closed. May be called any
   * number of times.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#chardev.close();
    const session = this.#session;
    if (session !== undefined) {
      const gone = new Promise<void>((resolve) => (this.#sessionGone = resolve));
      const timer = setTimeout(() => session.destroy(), CLOSE_TIMEOUT);
      session.close();
      await gone;
      clearTimeout(timer);
    }
    this.namedFds[Symbol.dispose]();
  }
}
